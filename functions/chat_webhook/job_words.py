"""What people say about jobs that exist: the command, and which jobs it fits. Rules only: nothing is guessed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model.job import Job
from shared.model.recurrence import load_timezone
from shared.model.value import Status

OPEN = (Status.PENDING, Status.RUNNING, Status.PAUSED, Status.FAILED)  # a job that can be edited and cancelled
POSSIBLE = {
    "run": (Status.PENDING, Status.PAUSED),
    "pause": (Status.PENDING, Status.RUNNING),
    "resume": (Status.PAUSED,),
    "retry": (Status.FAILED,),
    "cancel": OPEN,
    "show": OPEN,
    "move": (Status.PENDING, Status.PAUSED),
}
_VERBS = {
    **{verb: verb for verb in ("show", "run", "pause", "resume", "retry", "cancel")},
    **dict.fromkeys(("delete", "remove", "stop"), "cancel"),
    **dict.fromkeys(("reschedule", "move"), "move"),
    **{"unpause": "resume"},
}
_POLITE = re.compile(r"^(?:(?:please|hey|hi|hello|(?:can|could|would) you)[,!]?\s+)+", re.I)
_THANKS = re.compile(
    r"(?:[,.!?]?(?<!\bsay)(?<!\bwrite)\s(?:please|pls|plz"
    r"|(?:many )?(?:thanks|thank you|thx)(?: (?:a lot|so much|very much|in advance))?)){1,3}[.!?\s]*$",
    re.I,
)
_LIST = re.compile(
    r"(?:(?:show|list|see)\s+)?(?:me\s+)?(?:all\s+)?(?:of\s+)?(?:(?P<whose>my|the|our)\s+)?(?:jobs|reminders|list)"
    r"|what(?:'s| is) scheduled",
    re.I,
)
_HELP = re.compile(r"help(?:\s+me)?|what can (?:you|i) do", re.I)
_ACT = re.compile(rf"(?P<verb>{'|'.join(_VERBS)})\s+(?:me\s+)?(?P<about>\S.{{0,300}}?)(?:\s+now)?", re.I | re.S)
_MOVED = re.compile(r"(?P<about>.+)\s+to\s+(?P<when>.+)", re.I | re.S)
_SNOOZE = re.compile(r"snooze(?:\s+(?:this|it|that))?(?:\s+(?:for|until|till))?(?:\s+(?P<when>.{1,100}))?", re.I)
_NOUNS = frozenset({"reminder", "reminders", "job", "message", "post", "question"})
_FILLERS = frozenset(
    {"the", "my", "our", "a", "an", "this", "that", "to", "about", "for", "at", "of", "called", "says"}
)
_CLOCK = re.compile(r"(?:at\s+)?(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?\s*(?P<half>[ap]m)?", re.I)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: `list`, `mine` (the person's own), `help`, `snooze`, or an action on the job that `about` means.

    `when` is a time in words.
    """

    action: str
    about: str = ""
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The jobs that fit; `is_sure` if there is exactly one, named completely: by its id, its text or its time."""

    jobs: tuple[Job, ...]
    is_sure: bool


def read_command(text: str) -> Command | None:
    """Return the command about jobs that the text is, or None, without checking whether a job fits."""
    text = _THANKS.sub("", _POLITE.sub("", text.strip(), count=1)).rstrip("?!. ")
    if match := _LIST.fullmatch(text):
        return Command(action="mine" if (match["whose"] or "").lower() == "my" else "list")
    if _HELP.fullmatch(text):
        return Command(action="help")
    if match := _SNOOZE.fullmatch(text):
        return Command(action="snooze", when=match["when"] or "10 minutes")
    if not (match := _ACT.fullmatch(text)):
        return None
    action, about = _VERBS[match["verb"].lower()], match["about"]
    if action != "move":
        return Command(action=action, about=about)
    moved = _MOVED.fullmatch(about)
    return Command(action=action, about=moved["about"], when=moved["when"]) if moved else None


def matching(about: str, jobs: Iterable[Job], *, action: str, timezone: str) -> Matches:
    """Return the jobs that `about` fits and that allow `action`; those that it names completely come first.

    A job is named by its id, its text, its next time on the clocks of `timezone`, or some words of its text.
    """
    jobs = list(jobs)
    named = [job for job in jobs if _is_named(about, job, timezone)]
    fitting = named or [job for job in jobs if _is_in(about, job)]
    possible = [job for job in fitting if job.status in POSSIBLE[action]] or fitting
    return Matches(jobs=tuple(possible), is_sure=bool(named) and len(possible) == 1)


def text_of(job: Job) -> str:
    """Return what a job says or asks, without its leading mention, or else its type."""
    said = job.payload.get("text") or job.payload.get("prompt") or job.payload.get("message") or job.job_type
    return re.sub(r"^<users/[^>]*> ", "", " ".join(str(said).split()))


def clocks(text: str) -> tuple[tuple[int, int], ...]:
    """Return the hours and minutes that a bare clock time can mean ("9" both 9:00 and 21:00), or none."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        return ()
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), (match["half"] or "").lower()
    hours = [hour]
    if half:
        hours = [hour % 12 + (12 if half == "pm" else 0)] if 1 <= hour <= 12 else []
    elif 1 <= hour <= 12 and not match["hour"].startswith("0"):
        hours = [hour, (hour + 12) % 24]
    return tuple((each, minute) for each in hours if each < 24 and minute < 60)


def nearest_clock(text: str, local: datetime) -> tuple[int, int] | None:
    """Return which of the possible clock times is nearest to a local time, or None for other words."""
    return min(clocks(text), key=lambda clock: abs(_on(local, clock) - local), default=None)


def _on(local: datetime, clock: tuple[int, int]) -> datetime:
    return local.replace(hour=clock[0], minute=clock[1])


def _is_named(about: str, job: Job, timezone: str) -> bool:
    words, text = _words(about), _words(text_of(job))
    if about.strip() in (job.id, f"job {job.id}", text_of(job)) or "".join(words) == "".join(text) != "":
        return True
    if "".join(_core(words)) == "".join(_core(text)) != "":
        return True
    local = (job.regular_at or job.schedule_at).astimezone(load_timezone(timezone)).replace(second=0, microsecond=0)
    return any(_on(local, clock) - local == timedelta(0) for clock in clocks(_without_fillers(about)))


def _is_in(about: str, job: Job) -> bool:
    words, text = _words(about), _words(text_of(job))
    core = _core(words)
    return set(core) <= set(text) if core else bool(set(words) & _NOUNS)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _without_fillers(text: str) -> str:
    return " ".join(_core(text.casefold().split()))


def _core(words: list[str]) -> list[str]:
    """Return the words without surrounding ones that only say that a job is meant."""
    while words and words[0] in _FILLERS | _NOUNS:
        words = words[1:]
    while words and words[-1] in _NOUNS:
        words = words[:-1]
    return words
