"""What every card is made of: texts, fields, and buttons that come back to us.

Apart from the cards about jobs, because `help` needs only these.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from html import escape as escape_html
from typing import Any

from markup import readable
from seal import NAME as SEAL
from seal import Seal

escape = partial(escape_html, quote=False)

Card = dict[str, Any]
Widget = dict[str, Any]

EXAMPLES = (
    "remind me in 20 minutes to stretch",
    "remind us tomorrow at 9:00 to send the report",
    'every weekday at 9:00 post "stand-up"',
    'every weekday at 9:00 ask "summarise my inbox"',
    'cron 0 9 1 * * post "a new month"',
    "jobs",
)


class Buttons:
    """Makes buttons that call `function`.

    `names` are those of the mentioned people, by users/ID. With a `seal` each button carries a mark, and only a button
    with its mark counts.
    """

    def __init__(self, *, function: str, seal: Seal | None = None, names: Mapping[str, str] | None = None) -> None:
        self.names = names or {}
        self.function = function
        self._seal = seal

    def made(self, parameters: Mapping[str, str]) -> bool:
        """Return whether a button with these parameters is ours; True without a seal. Raises StoreUnavailable."""
        return self._seal is None or self._seal.holds(parameters)

    @property
    def takes_fields(self) -> bool:
        """Return whether the fields of a card count; with a seal they do not, since no mark covers them."""
        return self._seal is None

    def marked(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters of a button, with its mark. Raises StoreUnavailable."""
        return {**parameters, SEAL: self._seal.of(parameters)} if self._seal else dict(parameters)

    def make(self, label: str, action: str, **parameters: str) -> Widget:
        """Return a button."""
        named = self.marked({"action": action, **parameters})
        pairs = [{"key": name, "value": value} for name, value in named.items()]
        opens = {"interaction": "OPEN_DIALOG"} if action == "edit" else {}
        called = {"function": self.function, "parameters": pairs, **opens}
        return {"text": short(readable(label, self.names), 60), "onClick": {"action": called}}

    def examples(self, heading: str, says: str, commands: Iterable[str] = EXAMPLES) -> Card:
        """Return a card with commands to tap."""
        return card(heading, text(says), row(*(self.make(command, "say", text=command) for command in commands)))


def note(says: str) -> Card:
    """Return a card with only a text."""
    return {"sections": [{"widgets": [text(says)]}]}


def card(heading: str, *widgets: Widget, subtitle: str = "") -> Card:
    """Return a card with a heading."""
    header = {"title": heading, **({"subtitle": subtitle} if subtitle else {})}
    return {"header": header, "sections": [{"widgets": list(widgets)}]}


def row(*buttons: Widget) -> Widget:
    """Return a row of buttons."""
    return {"buttonList": {"buttons": list(buttons)}}


def text(says: str) -> Widget:
    """Return a text."""
    return {"textParagraph": {"text": escape(says)}}  # Chat renders tags in it, and people may type some


def field(name: str, label: str, value: str) -> Widget:
    """Return a field to fill in."""
    return {"textInput": {"name": name, "label": label, "value": value}}


def short(says: str, most: int) -> str:
    """Return a text, cut if it is longer."""
    return says if len(says) <= most else f"{says[: most - 3]}..."
