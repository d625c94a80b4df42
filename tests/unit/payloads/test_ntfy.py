"""ntfy's messages: their urgency and their limits."""

from __future__ import annotations

import json

import pytest
from backup_webhooks.payloads import format_named, render
from backup_webhooks.payloads.lengths import json_bytes, utf8_bytes
from backup_webhooks.payloads.ntfy import message

from tests.support.cards import card, card_of_many
from tests.support.golden_payloads import example

LINE = len("Server: ")


@pytest.mark.parametrize(
    ("name", "priority", "tag"),
    [
        ("backup-failed.json", 4, "rotating_light"),
        ("backup-missed.json", 4, "rotating_light"),
        ("backup-partial-success.json", 3, "warning"),
        ("backup-success.json", 2, "white_check_mark"),
    ],
)
def test_trouble_is_more_urgent(name: str, priority: int, tag: str) -> None:
    posted = json.loads(render("ntfy", example(name)))

    assert (posted["priority"], posted["tags"]) == (priority, [tag])


@pytest.mark.parametrize(("bytes_wanted", "whole"), [(4094, True), (4095, True), (4096, False)])
def test_a_message_is_shorter_than_4096_bytes_as_a_longer_one_becomes_a_file(bytes_wanted: int, whole: bool) -> None:
    lines, rest = divmod(bytes_wanted + 1, LINE + 100 + 1)
    facts = [("Server", "x" * 100)] * lines + [("Server", "x" * (rest - LINE - 1))]

    text = message(card(facts=facts))["message"]

    assert utf8_bytes(text) == min(bytes_wanted, 4095)
    assert text.endswith("x" if whole else "…")


def test_bytes_are_counted_and_no_character_is_cut_in_two() -> None:
    text = message(card_of_many(40, "💾" * 30))["message"]

    assert 4092 <= utf8_bytes(text) <= 4095
    assert set(text) == set("Server: \n💾…")


def test_with_its_escapes_and_the_longest_topic_it_is_no_more_than_ntfy_reads() -> None:
    key = format_named("ntfy").key
    assert key

    body = key.put_into(json.dumps({"topic": "***"} | message(card_of_many(40, '"\\' * 250))), "t" * 64)

    assert 8185 <= len(body) <= 8192


def test_a_title_has_200_characters() -> None:
    assert message(card(title="x" * 300))["title"] == "x" * 199 + "…"


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://ntfy.sh", False),
        ("https://ntfy.sh/", False),
        ("https://ntfy.example:8443/?second", False),
        ("https://ntfy.sh/backups", True),
        ("https://ntfy.sh//", True),
    ],
)
def test_the_url_is_the_servers_own_not_a_topics(url: str, refused: bool) -> None:
    assert bool(format_named("ntfy").url_problem(url)) == refused


def test_the_json_of_each_is_small_without_its_message() -> None:
    assert json_bytes(message(card(title="\\" * 300)) | {"message": ""}) < 600
