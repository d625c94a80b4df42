"""Teams' limits: one below, at, and one above each; and names that are shown as they are."""

from __future__ import annotations

from typing import Any

import pytest
from backup_webhooks.payloads.card import Card
from backup_webhooks.payloads.teams import MOST_BYTES, message, size

from tests.support.cards import card

FACTS = 20


def elements(whole: dict[str, Any]) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = whole["attachments"][0]["content"]["body"]
    return body


def card_of_size(bytes_wanted: int, character: str = "x") -> Card:
    """Return a card whose message has that size as Teams counts it, at two bytes a character."""
    facts = [("Server", character * 100)] * FACTS
    room = bytes_wanted - size(message(card(facts=[*facts, ("Server", "")])))
    return card(facts=[*facts, ("Server", character * (room // 2))])


@pytest.mark.parametrize("below", [2, 0])
@pytest.mark.parametrize("character", ["x", "é"])
def test_a_message_of_up_to_28_kb_is_whole(below: int, character: str) -> None:
    whole = message(card_of_size(MOST_BYTES - below, character))

    assert size(whole) == MOST_BYTES - below
    assert len(elements(whole)) == 1 + FACTS + 1


def test_one_character_more_and_the_rest_is_counted() -> None:
    whole = message(card_of_size(MOST_BYTES + 2))

    assert size(whole) <= MOST_BYTES
    assert len(elements(whole)) == 1 + FACTS + 1
    assert [run["text"] for run in elements(whole)[-1]["inlines"]] == ["Not shown: ", "1 more"]


@pytest.mark.parametrize(("character", "encoding"), [("x", "utf-16-le"), ("備", "utf-8")])
def test_a_message_is_counted_in_the_encoding_that_makes_it_longer(character: str, encoding: str) -> None:
    one, two = (size(message(card(facts=[("Server", character * length)]))) for length in (4000, 5000))

    assert two - one == 1000 * len(character.encode(encoding))


@pytest.mark.parametrize("name", ["**bold**", "[link](http://evil.example)", "<at>all</at>", "- 1. `code`"])
def test_markup_in_a_name_is_text_in_a_run_that_has_none(name: str) -> None:
    whole = message(card(subject=name, facts=[("Server", name)]))

    assert {"type": "TextRun", "text": name} in elements(whole)[1]["inlines"]
    assert "TextBlock" not in {element["type"] for element in elements(whole)[0]["items"] + elements(whole)[1:]}


def test_a_name_that_looks_like_a_date_function_is_in_pieces_that_do_not() -> None:
    name = "{{DATE(2018-12-20T01:39:38Z, SHORT)}}"

    runs = [run["text"] for run in elements(message(card(facts=[("Server", name)])))[1]["inlines"][1:]]

    assert "".join(runs) == name
    assert not any("{{" in run for run in runs)
