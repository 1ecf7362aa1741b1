"""Mentions and links in what people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markup import protected, readable, restored


@given(st.lists(st.sampled_from(["<users/105>", "<https://a.b/1|x y>", "<b>", "a", " ", "<", "\ue000"])).map("".join))
def test_protected_markup_is_restored(text: str) -> None:
    """Between any other text."""
    short, found = protected(text)

    assert restored(short, found) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask <users/105> or <users/9>", "ask @Bob or @someone"),
        ("<users/all> come", "@all come"),
        ("<https://a.b/1|the report>, <https://a.b/2>", "the report, https://a.b/2"),
        ("<b> <users/> a < b", "<b> <users/> a < b"),
    ],
)
def test_markup_is_readable_on_a_card(text: str, shown: str) -> None:
    """Cards do not render this markup."""
    assert readable(text, {"users/105": "Bob"}) == shown
