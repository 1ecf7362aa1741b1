"""The jobs of one space, as an agent may see and change them: `AgentContext.jobs`.

It creates only jobs that post into the space or ask the agent there, and finds no job of another space.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, Unpack

from shared.errors import InvalidInput
from shared.model.definition import Timing, TimingFields, parse_dates
from shared.model.job import Job
from shared.model.job_text import asker_of, payload_with
from shared.model.value import Status
from shared.store.documents import Unreadable

JobKind = Literal["message", "question"]
ALIVE = (Status.PENDING, Status.RUNNING, Status.PAUSED)
MOST_JOBS = 100
PAGE = 200


class Made(Protocol):
    """What scheduling a job returns."""

    @property
    def job(self) -> Job: ...


class AllJobs(Protocol):
    """The part of `shared.jobs.Jobs` that is used here; that class is in a higher layer."""

    def schedule(
        self,
        job_type: str,
        payload: Mapping[str, Any],
        *,
        id: str,
        timezone: str,
        space: str,
        by: str,
        **timing: Unpack[TimingFields],
    ) -> Made: ...
    def get(self, job_id: str) -> Job: ...
    def list(self, *, status: Collection[str], space: str, page_size: int) -> Iterator[Job | Unreadable]: ...
    def edit(self, job_id: str, *, by: str | None, **changes: Any) -> Job: ...
    def pause(self, job_id: str, *, by: str | None) -> Job: ...
    def resume(self, job_id: str, *, by: str | None) -> Job: ...
    def run(self, job_id: str, *, by: str | None) -> Job: ...
    def cancel(self, job_id: str, *, by: str | None) -> Job: ...


@dataclass(frozen=True, kw_only=True)
class SpaceJobs:
    """The jobs of a space. `place` is where they post, `asker` what a question says about who asks.

    `key` is the idempotency key of the question to the agent: the same job, requested again under it, is created once.
    At most `most` jobs of a space are alive. The store is opened with the first call; each call can raise
    StoreUnavailable.
    """

    open: Callable[[], AllJobs]
    space: str
    user: str
    timezone: str
    key: str
    now: datetime
    place: Mapping[str, str]
    asker: Mapping[str, str] = field(default_factory=dict)
    most: int = MOST_JOBS

    def schedule(self, kind: JobKind, text: str, *, timezone: str | None = None, **timing: Unpack[TimingFields]) -> Job:
        """Post a text, or ask the agent a question and post its answer, at a time or again and again.

        The schedule is read in `timezone`, by default that of who asks. Raises InvalidInput for what cannot be
        scheduled, and if the space has too many jobs.
        """
        asked = Timing(**timing)
        if asked.at is None and not asked.is_recurring:
            raise InvalidInput("say when: give at, cron or every")
        job_type, payload = self._definition(kind, text, timezone)
        when = {**asked.timing, "timezone": timezone or self.timezone}
        job_id = self._id(payload, when)
        if (made := self._made(job_id)) is not None:
            return made
        when |= asked.ahead(when["timezone"], self.now).timing
        self._refuse_too_many()
        return self.open().schedule(job_type, payload, id=job_id, space=self.space, by=self._by, **when).job

    def list(self) -> list[Job]:
        """Return the jobs of the space that are still to run, the next one first."""
        return sorted(self._alive(), key=lambda job: (job.ready_at is None, job.ready_at or job.schedule_at, job.id))

    def get(self, job_id: str) -> Job:
        """Return a job of the space. Raises InvalidInput if there is none with that id."""
        unknown = InvalidInput(f"there is no job {str(job_id)[:200]!r} in this space; list the jobs to see their ids")
        try:
            job = self.open().get(str(job_id))  # a model may write a number
        except InvalidInput:
            raise unknown from None
        if not self.space or job.space != self.space:
            raise unknown
        return job

    def edit(
        self, job_id: str, *, text: str | None = None, timezone: str | None = None, **timing: Unpack[TimingFields]
    ) -> Job:
        """Change the given text and schedule of a job, and keep the rest; see `shared.jobs.Jobs.edit`.

        Only the person who asked for a job in Chat can change its text, because it runs as them. Raises InvalidInput.
        """
        job = self.get(job_id)
        if timing.get("except_dates"):
            timing["except_dates"] = parse_dates(timing["except_dates"])  # read twice below
        changes: dict[str, Any] = {"timezone": timezone, **timing}
        if text is not None:
            changes["payload"] = payload_with(job, text)
            if (asker := asker_of(job)) not in (None, self.user):
                raise InvalidInput(f"only {asker}, who asked for job {job_id}, can change its text")
        if timing.get("at") is not None:
            given: dict[str, Any] = {name: value for name, value in timing.items() if value is not None}
            changes["at"] = Timing(**given).ahead(timezone or job.timezone or self.timezone, self.now).at
        return self.open().edit(job_id, by=self._by, **changes)

    def pause(self, job_id: str) -> Job:
        """Pause a job until it is resumed."""
        return self.open().pause(self.get(job_id).id, by=self._by)

    def resume(self, job_id: str) -> Job:
        """Resume a paused job."""
        return self.open().resume(self.get(job_id).id, by=self._by)

    def run(self, job_id: str) -> Job:
        """Run a job now, in addition to its schedule."""
        return self.open().run(self.get(job_id).id, by=self._by)

    def cancel(self, job_id: str) -> Job:
        """End a job for good."""
        return self.open().cancel(self.get(job_id).id, by=self._by)

    @property
    def _by(self) -> str:
        return f"agent:{self.user}"

    def _definition(self, kind: JobKind, text: str, timezone: str | None) -> tuple[str, dict[str, Any]]:
        if kind == "message":
            return "chat_message", {**self.place, "text": text}
        if kind == "question":
            return "agent", {**self.place, **self.asker, "prompt": text, "timezone": timezone or self.timezone}
        raise InvalidInput(f"a job is a message or a question, not {str(kind)[:100]!r}")

    def _id(self, *definition: Any) -> str:
        told = json.dumps([self.key, self.space, *definition], sort_keys=True, default=str)
        return f"agent-{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:12]}"

    def _made(self, job_id: str) -> Job | None:
        """Return the job if it was created before: an agent may be asked the same thing twice."""
        try:
            return self.get(job_id)
        except InvalidInput:
            return None

    def _alive(self) -> Iterator[Job]:
        """Read the jobs that are still to run; finished ones are not even read."""
        found = self.open().list(status=ALIVE, space=self.space, page_size=PAGE)
        return (job for job in found if isinstance(job, Job))

    def _refuse_too_many(self) -> None:
        if sum(1 for _ in self._alive()) >= self.most:
            raise InvalidInput(
                f"this space has {self.most} jobs, which is the most that it may have; cancel one first, or raise "
                "CHAT_MOST_JOBS"
            )
