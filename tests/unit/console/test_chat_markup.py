"""The formatting and the cards of Chat, as the console shows them."""

from typing import Any

import pytest

from tests.support.console_page import HOSTILE
from watchkeeper.console.chat_markup import card, card_text, message_text, safe_link


def test_simple_markup_becomes_pieces() -> None:
    """Styles, links, mentions and code; any other text does not change."""
    text = "*Hi* <users/7>, see <https://a.example/x|the _page_> or `*x*`; 2*3*4 https://b.example <b>"

    pieces = message_text(text, {"users/7": "Ada"})

    assert [(piece["text"], *piece["styles"], piece["href"]) for piece in pieces if piece["text"].strip(" ,;")] == [
        ("Hi", "bold", ""),
        ("@Ada", "mention", ""),
        (", see ", ""),
        ("the _page_", "https://a.example/x"),
        (" or ", ""),
        ("*x*", "code", ""),
        ("; 2*3*4 ", ""),
        ("https://b.example", "https://b.example"),
        (" <b>", ""),
    ]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt://x", "data:text/html,x", "//evil", "https://"],
)
def test_only_http_links_can_be_opened(address: str) -> None:
    """Neither in text, nor in a card, nor behind a button."""
    button = {"text": "Tap", "onClick": {"openLink": {"url": address}}}
    value = {"card": {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}}

    assert safe_link(address) == ""
    assert not any(piece["href"] for piece in message_text(f"<{address}|Tap>", {}))
    assert not any(piece["href"] for piece in card_text(f'<a href="{address}">Tap</a>'))
    assert card(value)["sections"][0]["widgets"][0]["buttons"][0]["href"] == ""


def test_cards_know_only_a_few_tags() -> None:
    """They become styles; any other tag stays text."""
    pieces = card_text(f'<b>Bold</b><br><a href="https://a.example">x</a> &lt;i&gt; {HOSTILE}')

    assert (pieces[0]["text"], pieces[0]["styles"]) == ("Bold", ["bold"])
    assert ("x", "https://a.example") in [(piece["text"], piece["href"]) for piece in pieces]
    assert "".join(piece["text"] for piece in pieces) == f"Bold\nx <i> {HOSTILE}"


@pytest.mark.parametrize(
    "value", [None, 7, [], {"card": 7}, {"card": {"sections": [7, {"widgets": [7, {"map": {}}]}]}}]
)
def test_a_card_of_any_shape_is_shown(value: Any) -> None:
    """No post of a job can break the page."""
    assert card(value).keys() == {"title", "subtitle", "sections"}
