"""The text of Chat messages and cards as plain values: pieces, each with its styles and its link.

The page makes text nodes of the pieces, so unknown markup is shown unchanged, and never run.

https://developers.google.com/workspace/chat/format-messages
"""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

Piece = dict[str, Any]
Shown = dict[str, Any]

_TOKEN = re.compile(
    r"""```(?P<block>[^`]+)```
    |`(?P<code>[^`\n]+)`
    |<(?P<href>https?://[^|>\s]+)(?:\|(?P<label>[^>\n]+))?>
    |<(?P<user>users/[^>\s]+)>
    |(?P<url>https?://[^\s<>]+)
    |(?<!\w)(?:\*(?P<bold>[^*\n]+)\*|_(?P<italic>[^_\n]+)_|~(?P<strike>[^~\n]+)~)(?!\w)""",
    re.VERBOSE,
)
_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "s": "strike", "strike": "strike", "del": "strike",
    "u": "underline", "code": "code",
}  # fmt: skip


def message_text(text: str, people: Mapping[str, str], styles: tuple[str, ...] = ()) -> list[Piece]:
    """Read Chat's simple markup: *bold*, _italic_, ~strike~, `code`, <link|label>, <users/ID>."""
    return list(_pieces(text, people, styles))


def _pieces(text: str, people: Mapping[str, str], styles: tuple[str, ...]) -> Iterator[Piece]:
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            yield _piece(text[end : token.start()], styles)
        end = token.end()
        kind, said = token.lastgroup or "", token[token.lastgroup or 0]
        match kind:
            case "block" | "code":
                yield _piece(said.strip("\n"), (*styles, kind))
            case "href" | "label" | "url":
                yield _piece(said, styles, token["href"] or said)
            case "user":
                yield _piece(f"@{'all' if said == 'users/all' else people.get(said, said)}", (*styles, "mention"))
            case _:
                yield from _pieces(said, people, (*styles, kind))
    if end < len(text):
        yield _piece(text[end:], styles)


def _piece(text: str, styles: tuple[str, ...], href: str = "") -> Piece:
    return {"text": text, "styles": list(styles), "href": safe_link(href)}


def safe_link(address: str) -> str:
    """Return an address if a click may open it (http or https), else ""."""
    return address if re.match(r"https?://[\w\[]", address, re.IGNORECASE) else ""


def card_text(html: str) -> list[Piece]:
    """Read the few tags that cards support; any other tag is text."""
    reader = _CardText()
    reader.feed(html)
    reader.close()
    return reader.pieces


class _CardText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self._open: list[tuple[str, str]] = []  # tags with their links

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.handle_data("\n")
        elif tag in _TAGS or tag in ("a", "font"):
            self._open.append((tag, dict(attrs).get("href") or ""))
        else:
            self.handle_data(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        opened = next((each for each in reversed(self._open) if each[0] == tag), None)
        if opened:
            self._open.remove(opened)
        else:
            self.handle_data(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        styles = tuple(_TAGS[tag] for tag, _ in self._open if tag in _TAGS)
        href = next((href for _, href in reversed(self._open) if href), "")
        self.pieces.append(_piece(data, styles, href))

    def handle_comment(self, data: str) -> None:
        self.handle_data(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.handle_data(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.handle_data(f"<?{data}>")


def card(value: Any) -> Shown:
    """Return one of `cardsV2` as the page shows it; an unknown widget is shown by its name."""
    content = _object(_object(value).get("card"))
    header = _object(content.get("header"))
    sections = [
        {"header": card_text(_text(each, "header")), "widgets": [_widget(widget) for widget in listed(each, "widgets")]}
        for each in listed(content, "sections")
    ]
    return {"title": _text(header, "title"), "subtitle": _text(header, "subtitle"), "sections": sections}


def _widget(value: Any, *, is_inner: bool = False) -> Shown:
    kind = next(iter(_object(value)), "")
    content = _object(_object(value).get(kind))
    match kind:
        case "textParagraph":
            return {"kind": "text", "text": card_text(_text(content, "text"))}
        case "decoratedText":
            lines = {name: card_text(_text(content, name)) for name in ("topLabel", "text", "bottomLabel")}
            return {"kind": "decorated", **lines, "buttons": [_button(each) for each in listed(content, "button")]}
        case "buttonList":
            return {"kind": "buttons", "buttons": [_button(each) for each in listed(content, "buttons")]}
        case "textInput":
            is_long = content.get("type") == "MULTIPLE_LINE"
            texts = {name: _text(content, name) for name in ("name", "label", "value")}
            return {"kind": "input", "is_long": is_long, **texts}
        case "columns" if not is_inner:
            columns = listed(content, "columnItems")
            inner = [[_widget(each, is_inner=True) for each in listed(item, "widgets")] for item in columns]
            return {"kind": "columns", "columns": inner}
        case "divider":
            return {"kind": "divider"}
        case "image":
            said = _piece(_text(content, "altText") or "Image", (), _text(content, "imageUrl"))
            return {"kind": "text", "text": [said]}
    return {"kind": "text", "text": [_piece(f"({kind[:60] or 'an empty widget'}, not shown here)", ("italic",))]}


def _button(value: Any) -> Shown:
    click = _object(_object(value).get("onClick"))
    return {
        "text": _text(value, "text") or "Button",
        "href": safe_link(_text(_object(click.get("openLink")), "url")),
        "action": click.get("action") if isinstance(click.get("action"), Mapping) else None,
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any, name: str) -> str:
    text = _object(value).get(name)
    return text if isinstance(text, str) else ""


def listed(value: Any, name: str) -> list[Any]:
    """Return the list of this name in an object; any other value as a list of one."""
    found = _object(value).get(name, [])
    return found if isinstance(found, list) else [found]
