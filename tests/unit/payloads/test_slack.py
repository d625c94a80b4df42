"""Slack's limits: one below, at, and one above each."""

from __future__ import annotations

from typing import Any

import pytest
from backup_webhooks.payloads.lengths import utf16_units
from backup_webhooks.payloads.slack import message

from tests.support.cards import card, card_of_many

HEADING = "Backup failed: "


def header(subject: str) -> str:
    text: str = message(card(subject=subject))["blocks"][0]["text"]["text"]
    return text


def sections(whole: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = whole["attachments"][0]["blocks"]
    return blocks


def value(text: str) -> str:
    shown: str = sections(message(card(facts=[("Server", text)])))[0]["fields"][1]["text"]
    return shown


@pytest.mark.parametrize("length", [134, 135])
def test_a_header_of_up_to_150_characters_is_whole(length: int) -> None:
    assert header("x" * length) == HEADING + "x" * length
    assert len(header("x" * length)) <= 150


def test_a_header_of_151_is_cut_to_150_with_an_ellipsis() -> None:
    assert header("x" * 136) == HEADING + "x" * 134 + "…"


def test_a_header_is_counted_as_it_is_escaped_and_no_escape_is_cut() -> None:
    assert header("&" * 27) == HEADING + "&amp;" * 27
    assert header("&" * 28) == HEADING + "&amp;" * 26 + "…"


def test_emoji_count_twice_and_none_is_cut_in_two() -> None:
    assert header("💾" * 67) == HEADING + "💾" * 67
    assert utf16_units(header("x" + "💾" * 67)) == 150
    assert header("💾" * 68) == HEADING + "💾" * 67 + "…"


def test_a_cut_text_keeps_the_accents_of_its_last_character() -> None:
    assert header("x" * 133 + "e\u0301\u0301") == HEADING + "x" * 133 + "…"


@pytest.mark.parametrize(("length", "shown"), [(1999, "x" * 1999), (2000, "x" * 2000), (2001, "x" * 1999 + "…")])
def test_a_field_has_2000_characters(length: int, shown: str) -> None:
    assert value("x" * length) == shown


@pytest.mark.parametrize(("length", "shown"), [(2999, "x" * 2999), (3000, "x" * 3000), (3001, "x" * 2999 + "…")])
def test_the_text_has_3000_characters(length: int, shown: str) -> None:
    assert message(card(summary="x" * length))["text"] == shown


@pytest.mark.parametrize(("facts", "fields"), [(4, [8]), (5, [10]), (6, [10, 2])])
def test_a_section_has_ten_fields(facts: int, fields: list[int]) -> None:
    assert [len(section["fields"]) for section in sections(message(card_of_many(facts)))] == fields


@pytest.mark.parametrize("facts", [244, 245])
def test_fifty_blocks_are_shown_whole(facts: int) -> None:
    shown = message(card_of_many(facts))

    assert len(shown["blocks"]) + len(sections(shown)) == 50
    assert "Not shown" not in str(shown)


def test_facts_beyond_fifty_blocks_are_counted() -> None:
    shown = sections(message(card_of_many(246)))

    assert len(shown) == 49
    assert [field["text"] for field in shown[-1]["fields"][-2:]] == ["*Not shown*", "2 more"]
    assert sum(len(section["fields"]) for section in shown) == 490
