"""Discord's limits: one below, at, and one above each; and Markdown that shows a name as it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from backup_webhooks.payloads.discord import MOST_CHARACTERS, escape, message, size
from backup_webhooks.payloads.lengths import utf16_units
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cards import card, card_of_many

# Each fact counts with `Server` and its value.
LABEL = len("Server")
TITLE = len("Backup failed")


def fields(whole: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = whole["embeds"][0]["fields"]
    return found


def value(text: str) -> str:
    shown: str = fields(message(card(facts=[("Server", text)])))[0]["value"]
    return shown


@pytest.mark.parametrize(("length", "shown"), [(1023, "x" * 1023), (1024, "x" * 1024), (1025, "x" * 1023 + "…")])
def test_a_value_has_1024_characters(length: int, shown: str) -> None:
    assert value("x" * length) == shown


def test_a_value_is_counted_as_it_is_escaped_and_no_escape_is_cut() -> None:
    assert value("*" * 512) == "\\*" * 512
    assert value("*" * 513) == "\\*" * 511 + "…"


def test_emoji_count_twice_and_none_is_cut_in_two() -> None:
    assert value("💾" * 512) == "💾" * 512
    assert value("💾" * 513) == "💾" * 511 + "…"


@pytest.mark.parametrize(("length", "shown"), [(255, "x" * 255), (256, "x" * 256), (257, "x" * 255 + "…")])
def test_a_label_and_a_title_have_256_characters(length: int, shown: str) -> None:
    whole = message(card(title="x" * length, facts=[("x" * length, "SERVER")]))

    assert (whole["embeds"][0]["title"], fields(whole)[0]["name"]) == (shown, shown)


@pytest.mark.parametrize("count", [24, 25])
def test_up_to_25_facts_are_all_shown(count: int) -> None:
    assert len(fields(message(card_of_many(count)))) == count


def test_of_26_facts_24_are_shown_and_the_others_counted() -> None:
    shown = fields(message(card_of_many(26)))

    assert len(shown) == 25
    assert (shown[-1]["name"], shown[-1]["value"]) == ("Not shown", "2 more")


@pytest.mark.parametrize("below", [1, 0])
def test_6000_characters_in_all_are_not_cut(below: int) -> None:
    room = MOST_CHARACTERS - below - TITLE - 6 * LABEL
    whole = message(card(facts=[("Server", "x" * 1000)] * 5 + [("Server", "x" * (room - 5000))]))

    assert size(whole) == MOST_CHARACTERS - below
    assert len(fields(whole)) == 6


def test_one_more_than_6000_leaves_a_fact_out_and_says_so() -> None:
    room = MOST_CHARACTERS + 1 - TITLE - 6 * LABEL
    whole = message(card(facts=[("Server", "x" * 1000)] * 5 + [("Server", "x" * (room - 5000))]))

    assert size(whole) <= MOST_CHARACTERS
    assert [field["value"] for field in fields(whole)[5:]] == ["1 more"]


def test_no_text_mentions_anyone() -> None:
    assert message(card(subject="@everyone"))["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("web-01.example.com", "web-01.example.com"),
        ("2018-12-20 01:39:38 UTC", "2018-12-20 01:39:38 UTC"),
        ("@everyone", "\\@everyone"),
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("[link](http://evil.example)", "\\[link\\]\\(http\\://evil.example\\)"),
        ("https://evil.example", "https\\://evil.example"),
        ("<@!1>", "\\<\\@!1\\>"),
        (":100:", "\\:100\\:"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("# heading", "\\# heading"),
        ("\\*", "\\\\\\*"),
    ],
)
def test_markdown_in_a_name_is_escaped_and_other_names_are_as_they_are(name: str, written: str) -> None:
    assert escape(name) == written


@given(st.text(st.sampled_from("\\*_~`|<>#[]()@:-+.1 a💾\u0301")))
def test_what_is_escaped_reads_as_it_was_and_leaves_no_mark_its_meaning(name: str) -> None:
    written = escape(name)

    assert re.sub(r"\\(.)", r"\1", written) == name
    assert not set(re.sub(r"\\.", "", written)) & set("\\*_~`|<>#[]()@")


@given(st.text(st.sampled_from("\\*_:-1 a💾\u0301"), max_size=3000))
def test_no_value_is_longer_than_discord_takes_it(name: str) -> None:
    assert utf16_units(value(name)) <= 1024
