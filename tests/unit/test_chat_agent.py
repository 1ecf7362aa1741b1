"""How the user's agent is found, and how its answer becomes a message that Chat accepts."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidSettings
from shared.handlers.agent import AgentContext, UnusableAnswer, as_message, load_agent
from shared.web.chat_rules import (
    CARDS_ARE_LEFT_OUT,
    MAX_BYTES,
    MOST_PARTS,
    PART_BYTES,
    TEXT_IS_CUT,
    encoded,
    fitted,
    in_parts,
)

CARD = {"header": {"title": "News"}, "sections": [{"widgets": [{"textParagraph": {"text": "Nothing"}}]}]}
CONTEXT = AgentContext(
    space="spaces/A",
    thread=None,
    user="ada@example.com",
    timezone="UTC",
    idempotency_key="key",
    now=datetime(2026, 11, 21, 9, tzinfo=UTC),
)


def answer(text: str, context: AgentContext) -> str:
    return text


async def answer_later(text: str, context: AgentContext) -> str:
    return text


class Answering:
    """An agent that is an object."""

    def __call__(self, text: str, context: AgentContext) -> str:
        return text


class AnsweringLater:
    """An agent that is an object, and asynchronous."""

    async def __call__(self, text: str, context: AgentContext) -> str:
        return text


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """A module of the user's, named `my_agent`."""
    sys.modules["my_agent"] = module = ModuleType("my_agent")
    vars(module).update(
        answer=answer, later=answer_later, object=Answering(), later_object=AnsweringLater(), text="hello"
    )
    yield module
    del sys.modules["my_agent"]


# -- finding it --------------------------------------------------------------------------------------------------------


def test_empty_setting_means_no_agent() -> None:
    """An empty setting means no agent, and is not an error."""
    assert load_agent("") is None


@pytest.mark.parametrize("name", ["answer", "object"])
def test_any_callable_is_an_agent(module: ModuleType, name: str) -> None:
    """Functions and callable objects are agents."""
    agent = load_agent(f"my_agent:{name}")

    assert agent is not None
    assert agent("hello", CONTEXT) == "hello"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("my_agent", "like module:function", id="no-colon"),
        pytest.param("my_agent:", "like module:function", id="no-function"),
        pytest.param(":answer", "like module:function", id="no-module"),
        pytest.param("no_such_module:answer", "cannot be imported: ModuleNotFoundError", id="not-there"),
        pytest.param(".relative:answer", "cannot be imported: TypeError", id="relative"),
        pytest.param("my_agent:reply", "my_agent has no reply", id="no-attribute"),
        pytest.param("my_agent:text", "text is a str, not a function", id="not-callable"),
        pytest.param("my_agent:later", "later is an async function", id="async"),
        pytest.param("my_agent:later_object", "later_object is an async function", id="async-object"),
    ],
)
def test_invalid_agent_is_refused(module: ModuleType, name: str, says: str) -> None:
    """The error names the setting and the reason."""
    with pytest.raises(InvalidSettings, match=f"CHAT_AGENT is {name!r}: .*{says}") as refused:
        load_agent(name)

    assert refused.value.names == ("CHAT_AGENT",)


def test_example_agent_answers() -> None:
    """The example in `agent/chat.py` is an agent."""
    example: Any = pytest.importorskip("agent.chat")
    if not hasattr(example, "answer"):
        pytest.skip("the example has been replaced")

    agent = load_agent("agent.chat:answer")

    assert agent is not None
    assert as_message(agent("hello", CONTEXT))


@pytest.mark.parametrize(
    ("kind", "thread", "key"),
    [
        ("direct", "spaces/A/threads/T", "spaces/A"),
        ("space", "spaces/A/threads/T", "spaces/A/threads/T"),
        ("group", None, "spaces/A"),
        ("", "spaces/A/threads/T", "spaces/A/threads/T"),
    ],
)
def test_session_is_a_direct_message_or_a_thread(kind: str, thread: str | None, key: str) -> None:
    """Each message of a direct message has a new thread, so there the session is the space."""
    context = replace(CONTEXT, space_kind=kind, thread=thread, session_key="")

    assert context.session_key == key


def test_repr_of_a_context_hides_what_a_person_wrote() -> None:
    """A log may contain the representation."""
    context = replace(CONTEXT, formatted_text="secret", quoted={"text": "secret"}, matched_url="https://secret")

    assert "secret" not in repr(context)


# -- what it returns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        pytest.param("hello", {"text": "hello"}, id="text"),
        pytest.param(CARD, {"cardsV2": [{"cardId": "agent", "card": CARD}]}, id="card"),
        pytest.param(
            {"header": {"title": "News"}},
            {"cardsV2": [{"cardId": "agent", "card": {"header": {"title": "News"}}}]},
            id="card-of-a-header",
        ),
        pytest.param({"text": "hello"}, {"text": "hello"}, id="message"),
        pytest.param(
            {"cardsV2": [{"cardId": "x", "card": CARD}], "thread": {"name": "spaces/OTHER/threads/T"}},
            {"cardsV2": [{"cardId": "x", "card": CARD}]},
            id="message-with-more-than-it-may-say",
        ),
        pytest.param(
            {"cardsV2": [{"cardId": "x", "card": {"header": {2: "two"}}}]},
            {"cardsV2": [{"cardId": "x", "card": {"header": {"2": "two"}}}]},
            id="a-name-that-is-no-text",
        ),
    ],
)
def test_answer_becomes_a_message(returned: object, message: Mapping[str, Any]) -> None:
    """A text and a card are wrapped; a message stays as it stands."""
    assert as_message(returned) == message


@pytest.mark.parametrize("returned", [None, "", " \n", {}, {"text": ""}, {"text": None}, {"cardsV2": []}], ids=repr)
def test_empty_answer_is_no_message(returned: object) -> None:
    """An agent may answer nothing; that is not a failure."""
    assert as_message(returned) is None


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        pytest.param(["secret"], "not list", id="list"),
        pytest.param(b"secret", "not bytes", id="bytes"),
        pytest.param({"text": 7}, "of type int", id="number-as-text"),
        pytest.param({"secret": 1}, "neither a text nor a card", id="other-mapping"),
        pytest.param({"sections": {"secret"}}, "cannot be written as JSON", id="set"),
        pytest.param("secret \ud800", "cannot be written as JSON", id="half-a-character"),
    ],
)
def test_unusable_answer_is_refused(returned: object, says: str) -> None:
    """The error has the reason, but no text of the answer."""
    with pytest.raises(UnusableAnswer, match=says) as refused:
        as_message(returned)

    assert "secret" not in str(refused.value)


# -- the limit of Chat -------------------------------------------------------------------------------------------------


def test_message_of_exactly_the_limit_is_unchanged() -> None:
    """At the limit nothing is cut; one byte more is."""
    room = MAX_BYTES - len(encoded({"text": ""}))

    assert fitted({"text": "x" * room}) == {"text": "x" * room}
    assert fitted({"text": "x" * (room + 1)})["text"].endswith(TEXT_IS_CUT)


@pytest.mark.parametrize("word", ["word ", "wörd ", "word\n", '"quoted" ', "世界 ", "👩‍🚀 ", "tab\t "])
def test_long_text_is_cut_between_words(word: str) -> None:
    """The text ends with a whole word, says that it was cut, and is as long as it can be."""
    message = fitted({"text": word * 20_000, "thread": {"name": "spaces/A/threads/B"}})

    kept = message["text"].removesuffix(TEXT_IS_CUT)
    assert kept != message["text"]
    assert (word * 20_000).startswith(kept)
    assert kept.endswith(word.rstrip())
    assert MAX_BYTES - len(encoded({"": word})) < len(encoded(message)) <= MAX_BYTES
    assert message["thread"] == {"name": "spaces/A/threads/B"}


def test_text_without_a_break_is_cut_at_a_character() -> None:
    """No character is cut in half."""
    text = fitted({"text": "Here: " + "é" * 20_000})["text"]

    kept = text.removesuffix(TEXT_IS_CUT)
    assert set(kept.removeprefix("Here: ")) == {"é"}
    assert MAX_BYTES - 2 <= len(encoded({"text": text})) <= MAX_BYTES


def test_word_that_ends_at_the_limit_is_kept() -> None:
    """The last word is kept if it ends exactly at the limit."""
    room = MAX_BYTES - len(encoded({"text": TEXT_IS_CUT}))

    text = fitted({"text": "a " + "b" * (room - 2) + " " + "c" * 100})["text"]

    assert text == "a " + "b" * (room - 2) + TEXT_IS_CUT


def test_long_text_keeps_the_cards_that_fit() -> None:
    """Only the text is cut."""
    message = fitted({"text": "word " * 10_000, "cardsV2": [{"cardId": "x", "card": CARD}]})

    assert message["cardsV2"] == [{"cardId": "x", "card": CARD}]
    assert message["text"].endswith(f"word{TEXT_IS_CUT}")
    assert len(encoded(message)) <= MAX_BYTES


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        pytest.param({}, CARDS_ARE_LEFT_OUT, id="cards-alone"),
        pytest.param({"text": "hello"}, f"hello\n\n{CARDS_ARE_LEFT_OUT}", id="with-text"),
    ],
)
def test_cards_that_are_too_long_are_left_out(text: dict[str, str], becomes: str) -> None:
    """A part of a card is not a card; the text says that something is missing."""
    long_card = {"cardId": "x", "card": {"header": {"title": "x" * MAX_BYTES}}}

    assert fitted({**text, "cardsV2": [long_card]}) == {"text": becomes}


def test_callers_message_is_not_changed() -> None:
    """The caller's own value stays as it was."""
    message = {"text": "word " * 10_000}

    fitted(message)

    assert message == {"text": "word " * 10_000}


# -- a long message in parts -------------------------------------------------------------------------------------------

ROOM = PART_BYTES - len(encoded({"text": ""}))
A_CARD = {"cardId": "x", "card": CARD}


def texts_of(text: str) -> list[str]:
    return [part["text"] for part in in_parts({"text": text})]


def test_message_of_exactly_one_part_is_not_split() -> None:
    """One byte more makes two."""
    assert texts_of("x" * ROOM) == ["x" * ROOM]
    assert texts_of("x" * (ROOM + 1)) == ["x" * ROOM, "x"]


@pytest.mark.parametrize("separator", ["\n\n", "\n", " "])
def test_long_text_is_split_at_the_best_place(separator: str) -> None:
    """At a paragraph, else at a line, else at a word: each part is whole, and the parts are in order."""
    paragraph = "word\nanother word" if separator == "\n\n" else "word"
    text = separator.join(f"{number} {paragraph}" if separator != " " else f"{number}" for number in range(8000))

    parts = texts_of(text)

    assert len(parts) > 1
    assert separator.join(parts) == text


@pytest.mark.parametrize("character", ["é", "世", "👩", '"', "\x00"])
def test_text_without_a_break_is_split_at_a_character(character: str) -> None:
    """Each part is as long as possible, however long its characters are in JSON."""
    parts = texts_of(character * 20_000)

    assert "".join(parts) == character * 20_000
    assert all(PART_BYTES - 6 < len(encoded({"text": part})) <= PART_BYTES for part in parts[:-1])


def test_early_paragraph_does_not_end_a_part() -> None:
    """A part that is less than half full would be one message too many."""
    first, *others = texts_of("Hello\n\n" + "word " * 10_000)

    assert first.startswith("Hello\n\nword")
    assert others


def test_cards_stay_with_the_last_part() -> None:
    """The text leads up to them."""
    *first, last = in_parts({"text": "word " * 10_000, "cardsV2": [A_CARD]})

    assert [part.keys() for part in first] == [{"text"}]
    assert last.keys() == {"text", "cardsV2"}


def test_cards_without_room_beside_the_text_follow_it() -> None:
    """They are a separate message; cards too long for one message are left out, with a note."""
    long_card = {"cardId": "x", "card": {"header": {"title": "x" * (ROOM - 200)}}}
    longer_card = {"cardId": "x", "card": {"header": {"title": "x" * MAX_BYTES}}}

    assert in_parts({"text": "word " * 100, "cardsV2": [long_card]})[1:] == [{"cardsV2": [long_card]}]
    assert in_parts({"text": "hello", "cardsV2": [longer_card]}) == [{"text": "hello"}, {"text": CARDS_ARE_LEFT_OUT}]
    assert in_parts({"cardsV2": [longer_card]}) == [{"text": CARDS_ARE_LEFT_OUT}]


def test_endless_text_is_cut_after_the_last_part() -> None:
    """An agent in a loop does not fill the space."""
    parts = texts_of("word " * 200_000)

    assert len(parts) == MOST_PARTS
    assert parts[-1].endswith(TEXT_IS_CUT)


@pytest.mark.slow
@given(
    st.lists(st.sampled_from(["word", " ", "\n", "\n\n", "   ", "é" * 20_000, "x" * 40_000, "y" * ROOM]), max_size=12),
    st.lists(st.just(A_CARD), max_size=2),
)
def test_parts_together_hold_the_whole_message(pieces: list[str], cards: list[Any]) -> None:
    """No part is too long or empty, and no word is lost."""
    text = "".join(pieces)

    parts = in_parts({"text": text, "cardsV2": cards} if cards else {"text": text})

    assert all(len(encoded(part)) <= PART_BYTES for part in parts)
    assert len(parts) == 1 or all(part.get("text", "x").strip() for part in parts)
    said = "".join(part.get("text", "") for part in parts)
    assert said.endswith(TEXT_IS_CUT) or "".join(said.split()) == "".join(text.split())
