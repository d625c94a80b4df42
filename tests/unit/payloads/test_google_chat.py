"""Google Chat's limits: one below, at, and one above each."""

from __future__ import annotations

from typing import Any

import pytest
from backup_webhooks.payloads.google_chat import MOST_BYTES, message
from backup_webhooks.payloads.lengths import json_bytes

from tests.support.cards import card, card_of_many


def widgets(whole: dict[str, Any]) -> list[dict[str, Any]]:
    (section,) = whole["cardsV2"][0]["card"]["sections"]
    found: list[dict[str, Any]] = section["widgets"]
    return found


@pytest.mark.parametrize("count", [98, 99])
def test_a_card_of_up_to_100_widgets_is_whole(count: int) -> None:
    assert len(widgets(message(card_of_many(count)))) == 1 + count


def test_facts_beyond_100_widgets_are_counted() -> None:
    shown = widgets(message(card_of_many(100)))

    assert len(shown) == 100
    assert shown[-1]["decoratedText"]["topLabel"] == "Not shown"
    assert shown[-1]["decoratedText"]["text"] == "2 more"


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_message_has_32000_bytes(beyond: int) -> None:
    empty = json_bytes(message(card(facts=[("Server", "SERVER"), ("Server", "")])))

    whole = message(card(facts=[("Server", "SERVER"), ("Server", "x" * (MOST_BYTES + beyond - empty))]))

    assert json_bytes(whole) == MOST_BYTES + beyond if beyond <= 0 else json_bytes(whole) < MOST_BYTES
    assert widgets(whole)[-1]["decoratedText"]["topLabel"] == ("Server" if beyond <= 0 else "Not shown")


def test_tags_in_a_name_are_escaped_and_its_ampersand_first() -> None:
    (head, fact) = widgets(message(card(subject="<users/all>", facts=[("Server", "&lt;b>")])))

    assert head["textParagraph"]["text"].endswith("</font>: &lt;users/all&gt;")
    assert fact["decoratedText"]["text"] == "&amp;lt;b&gt;"


def test_a_notification_shows_our_own_words_alone() -> None:
    assert message(card(subject="<users/all>"))["fallbackText"] == "Backup failed"
