"""A check: a question to gcloud, and what its answer means beside what should be there."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from watchkeeper.deploy.asking import CannotAsk, reading_answers
from watchkeeper.findings import Finding


class Fate(StrEnum):
    """What a deployment does with something."""

    CREATE = "create"
    CHANGE = "change"
    LEAVE = "leave"
    UNKNOWN = "unknown"  # it is there, and the table does not have it


class Problem(NamedTuple):
    """What is not as it should be, and what to do about it.

    `fate` is what a deployment does about it, None if that is no question. What it creates are the `things`, or else
    what the check is about.
    """

    says: str
    remedy: str
    state: str = "wrong"
    fate: Fate | None = Fate.LEAVE
    things: tuple[str, ...] = ()


class Check(NamedTuple):
    """A question to gcloud `about` something. `judge` takes the answer, None for what is not there.

    Where it finds no problem, all is `well`; `anyway` is what a deployment changes all the same.
    """

    subject: str
    about: str
    question: tuple[str, ...]
    well: str
    judge: Callable[[Any], Iterator[Problem]]
    anyway: str = ""

    def findings(self, answer: Any) -> list[Finding]:
        """Judge an answer, which may be that the question could not be asked."""
        try:
            problems = self.problems(answer)
        except CannotAsk as exc:
            return [Finding("wrong", self.subject, f"{self.about} could not be checked: {exc}")]
        found = [Finding(each.state, self.subject, f"{each.says}; {each.remedy}") for each in problems]
        return found or [Finding("ok", self.subject, self.well)]

    def problems(self, answer: Any) -> list[Problem]:
        """Judge an answer. Raises CannotAsk if it is that, or has another form than gcloud's."""
        if isinstance(answer, CannotAsk):
            raise answer
        with reading_answers():
            return list(self.judge(answer))


def unconditional_members(policy: Any, role: str) -> set[str]:
    """Return who has a role without a condition."""
    bindings = [each for each in (policy or {}).get("bindings", []) if each["role"] == role and "condition" not in each]
    return {member for binding in bindings for member in binding["members"]}


def value_at(content: Any, keys: Sequence[str]) -> Any:
    """Return the value that these keys lead to; None, or what is empty, where one of them is missing."""
    for key in keys:
        content = content.get(key) or {}
    return content
