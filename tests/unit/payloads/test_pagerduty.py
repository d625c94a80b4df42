"""PagerDuty's events: which events open or close an incident, and the limits of an event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from backup_webhooks.payloads import format_named, render
from backup_webhooks.payloads.lengths import json_bytes
from backup_webhooks.payloads.pagerduty import MOST_BYTES, triggered

from tests.support.cards import card, card_of_many
from tests.support.golden_payloads import example

NAMES = {"backup-failed.json", "backup-partial-success.json", "backup-missed.json", "backup-success.json"}
SAME = {"accountAlias": "TEST", "serverPolicyId": "sp-1"}


def event(name: str, **changes: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(render("pagerduty", example(name, **changes)))
    return read


@pytest.mark.parametrize(
    ("name", "severity"),
    [("backup-failed.json", "error"), ("backup-partial-success.json", "warning"), ("backup-missed.json", "error")],
)
def test_trouble_opens_an_incident(name: str, severity: str) -> None:
    triggering = event(name)

    assert triggering["event_action"] == "trigger"
    assert triggering["payload"]["severity"] == severity
    assert {"summary", "source", "timestamp", "custom_details"} < set(triggering["payload"])


def test_a_success_closes_the_incident_of_its_server_policy() -> None:
    assert event("backup-success.json", **SAME) == {
        "routing_key": "***",
        "event_action": "resolve",
        "dedup_key": "TEST#sp-1",
    }


def test_all_of_a_server_policy_is_one_incident_and_another_is_another() -> None:
    keys = {event(name, **SAME)["dedup_key"] for name in NAMES}
    others = {event("backup-failed.json", **(SAME | {field: "other"}))["dedup_key"] for field in SAME}

    assert len(keys) == 1
    assert len(keys | others) == 3


@pytest.mark.parametrize(("length", "hashed"), [(189, False), (190, False), (191, True)])
def test_a_dedup_key_has_at_most_255_characters_and_is_never_cut(length: int, hashed: bool) -> None:
    keys = {
        event("backup-failed.json", accountAlias="A" * 64, serverPolicyId="p" * (length - 1) + last)["dedup_key"]
        for last in "xy"
    }

    assert len(keys) == 2
    assert {len(key) for key in keys} == ({64} if hashed else {65 + length})


@pytest.mark.parametrize(("length", "end"), [(1023, ": SERVER"), (1024, ": SERVER"), (1025, ": SERV…")])
def test_a_summary_has_1024_characters(length: int, end: str) -> None:
    summary = triggered(card(title="x" * (length - len(": SERVER"))))["summary"]

    assert summary.lstrip("x") == end
    assert len(summary) == min(length, 1024)


def test_an_event_is_no_longer_than_pagerduty_takes_it() -> None:
    whole = triggered(card_of_many(2000, "x" * 500))

    assert MOST_BYTES - 1000 < json_bytes(whole) <= MOST_BYTES
    assert "more" in whole["custom_details"].popitem()[1]


def test_facts_with_one_label_are_all_there() -> None:
    assert triggered(card_of_many(3, "x"))["custom_details"] == {"Server": "x", "Server (2)": "x", "Server (3)": "x"}


def test_the_routing_key_replaces_its_placeholder_and_nothing_else_changes() -> None:
    key = format_named("pagerduty").key
    assert key
    body = render("pagerduty", example("backup-failed.json", serverId='*** "routing_key":"***" 💾')).decode()

    posted = key.put_into(body, "R" * 32)

    assert json.loads(posted) == json.loads(body) | {"routing_key": "R" * 32}
    assert posted.decode().replace("R" * 32, "***") == body
