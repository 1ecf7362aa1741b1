"""Messages about jobs that were given up: stored as jobs, so that they are delivered and retried like any other."""

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial

from shared.model.job import Job
from shared.running.write import Write, log_job
from shared.settings import ANY_FUNCTION, Settings
from shared.store.protocol import Change, Outcome, Refused, Unknown

TRY_AGAIN = timedelta(seconds=1)


class Notices:
    """The messages of one tick that are still to be stored, by id; a store accepts each id only once."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._unstored: dict[str, Job] = {}
        self._try_after = timedelta()  # no write earlier in the tick, since the store did not answer

    def __bool__(self) -> bool:
        return bool(self._unstored)

    def announce(self, job: Job, held: Collection[str]) -> None:
        """Report a job that was given up to its space, unless the message is being delivered here already."""
        from shared.running.failure_notice import failure_notice  # not for a tick where nothing fails

        function = self._settings.public_url or ANY_FUNCTION
        try:
            notice = failure_notice(
                job,
                now=self._clock(),
                retention=self._settings.retention,
                function=function,
                timezone=self._settings.timezone,
            )
        except Exception as exc:  # a case that no rule foresaw; the tick must go on
            log_job(logging.ERROR, "notice_refused", job, "failed, and the message about it could not be created", exc)
            return
        if notice is not None and notice.id not in held:
            self._unstored[notice.id] = notice

    def is_stored(self, job_id: str) -> None:
        """Record that a message was found in the store, although its insert was not confirmed."""
        self._unstored.pop(job_id, None)

    def writes(self, elapsed: timedelta, *, at_once: bool = False) -> list[Write]:
        """Return the inserts that are to be tried now."""
        if elapsed < self._try_after and not at_once:
            return []
        settle = partial(self._settle, elapsed + TRY_AGAIN)
        return [Write(Change(None, notice), partial(settle, notice)) for notice in self._unstored.values()]

    def _settle(self, try_after: timedelta, notice: Job, outcome: Outcome) -> None:
        if isinstance(outcome, Unknown):
            self._try_after = try_after
            return
        del self._unstored[notice.id]  # stored, now or earlier
        if isinstance(outcome, Refused):
            log_job(
                logging.ERROR,
                "notice_refused",
                notice,
                f"cannot be stored, so its space gets no message: {outcome.reason}",
            )

    def close(self) -> str:
        """Log which messages may not be stored; return what went wrong, or ""."""
        for notice in self._unstored.values():
            log_job(logging.ERROR, "notice_lost", notice, "may not have been stored, so its space may get no message")
        return "messages about failed jobs could not be stored" if self._unstored else ""
