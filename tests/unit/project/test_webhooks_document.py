"""docs/webhooks.md describes the posts: bodies, fields, headers, limits, the schedule."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.deliveries.deliveries_store import KEPT_RESPONSE_BYTES
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.deliveries.retry_schedule import JITTER, LONGEST_RETRY_AFTER
from backup_webhooks.events.backup_output import KEPT_BYTES
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import Event, EventType
from backup_webhooks.posting.sender import CONNECT_SECONDS, EXCHANGE_SECONDS, MAX_RESPONSE_BYTES
from backup_webhooks.posting.target_url import MAX_URL_LENGTH
from backup_webhooks.posting.transport import MAX_IDLE_SECONDS, MAX_RECEIVED_BYTES
from backup_webhooks.targets.cache import KEPT_SECONDS
from backup_webhooks.targets.custom_headers import MOST_HEADERS
from backup_webhooks.targets.health import CIRCUIT_OPENS_AFTER, GIVEN_UP_AFTER, SLOW
from backup_webhooks.targets.signing import LONGEST_OVERLAP, MOST_SECRETS, OVERLAP, new_secret
from backup_webhooks.targets.target import MOST_TARGETS, Target
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT
from tests.support.golden_payloads import example, golden
from tests.support.markdown import names, sections, tables
from tests.support.snippets import snippets

PAGE = sections(PROJECT / "docs" / "webhooks.md")
CASES = {
    EventType.FAILURE: "failure",
    EventType.PARTIAL_SUCCESS: "partial-success",
    EventType.SUCCESS: "success",
    EventType.MISSING: "missing",
    EventType.RECOVERED: "recovered",
    EventType.UNFINISHED: "unfinished",
    EventType.STALE: "stale",
}
# A fact that is not known has no field.
OPTIONAL = {"log", "bytes", "files", "lastSuccessDate", "lastSuccessAgeHours"}
TYPES: dict[str, type] = {"integer": int, "integers": int, "number": float, "string": str}
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def short(event: EventType) -> str:
    return event.removeprefix("Backup.")


def said_of(fields: str) -> set[str]:
    """Return the events of a row: `all`, `all but Missing`, or their names."""
    every = {short(event) for event in EventType}
    if fields.startswith("all"):
        return every - {fields.removeprefix("all").removeprefix(" but ")}
    return set(fields.split(", "))


def test_each_event_is_there() -> None:
    (rows,) = tables(PAGE["What is posted, and when"])

    assert [names(row["event"]) for row in rows] == [[event] for event in CASES]


def test_the_default_bodies_are_those_that_are_posted() -> None:
    (rows,) = tables(PAGE["The default body"])

    assert {row["event"]: row["`text`"] for row in rows} == {
        f"`{event}`": f"`{json.loads(golden('text', case))['text']}`" for event, case in CASES.items()
    }


@pytest.mark.parametrize("event", EventType)
def test_each_field_for_programs_is_named_with_its_type_and_an_example(event: EventType) -> None:
    body = json.loads(golden("detailed", CASES[event]))
    (rows,) = tables(PAGE["The body for programs"])
    of_event = {
        name: (row["type"], example)
        for row in rows
        if short(event) in said_of(row["events"])
        for name, example in zip(names(row["field"]), names(row["example"]) or [None], strict=True)
    }
    assert of_event.keys() - OPTIONAL <= body.keys() <= of_event.keys()
    for name, value in body.items():
        assert isinstance(value, TYPES[of_event[name][0].split(",")[0]]), name


def test_examples_of_fields_are_of_one_of_the_bodies() -> None:
    (rows,) = tables(PAGE["The body for programs"])
    bodies = [json.loads(golden("detailed", case)) for case in CASES.values()]

    examples = [
        one for row in rows if row["example"] for one in zip(names(row["field"]), names(row["example"]), strict=True)
    ]
    assert len(examples) > len(bodies)
    assert [one for one in examples if one[1] not in {str(body.get(one[0])) for body in bodies}] == []


def test_each_header_of_the_service_is_documented() -> None:
    target = Target("TEST", [EventType.FAILURE], "https://hooks.example/", secrets=(new_secret(), new_secret()))
    delivery = Delivery.of(example("backup-failed.json"), target)
    sent = delivery.headers(target, delivery.body_for(target), datetime.now(UTC))
    (rows,) = tables(PAGE["Headers"])

    assert [name for row in rows for name in names(row["header"])] == ["content-type", "content-length", *[*sent][1:]]
    assert re.fullmatch("msg_[0-9a-f]{32}", sent["webhook-id"])
    assert [len(one.removeprefix("v1,")) for one in sent["webhook-signature"].split(" ")] == [44, 44]


def test_a_test_event_has_these_names() -> None:
    (rows,) = tables(PAGE["How each looks to you"])
    test_event: Event = example_event("TEST", EventType.FAILURE, datetime.now(UTC))

    assert names(rows[0]["body"]) == [test_event.server_id, test_event.account_policy_name]


def test_limits_are_those_of_the_code() -> None:
    shown = {
        "What is posted, and when": [f"{MOST_TARGETS}"],
        "The body for programs": [f"{KEPT_BYTES // 1024} KiB"],
        "Headers": [f"{MOST_HEADERS}"],
        "Rotation": [
            f"{OVERLAP // HOUR} hours",
            f"0 to {LONGEST_OVERLAP.days} days",
            f"{MOST_SECRETS}",
            f"{KEPT_SECONDS:.0f} s",
        ],
        "Your answer": [
            f"{CONNECT_SECONDS} s",
            f"{EXCHANGE_SECONDS} s",
            f"{MAX_RESPONSE_BYTES // 1024} KiB",
            f"{KEPT_RESPONSE_BYTES // 1024} KiB",
            f"{MAX_RECEIVED_BYTES // 1024} KiB",
            f"{LONGEST_RETRY_AFTER // HOUR} hours",
            f"{MAX_IDLE_SECONDS:.0f} s",
        ],
        "Retries": [f"{JITTER * 100:.0f} %"],
        "When an endpoint fails": [
            ["no", "one", "two", "three"][CIRCUIT_OPENS_AFTER],
            f"{SLOW.seconds} s",
            f"{['no', 'one', 'two', 'three', 'four', 'five'][GIVEN_UP_AFTER.days]} days",
        ],
        "Where an endpoint may be": [f"{MAX_URL_LENGTH:,} characters"],
    }

    missing = [
        (part, limit)
        for part, limits in shown.items()
        for limit in limits
        if not re.search(rf"\b{re.escape(limit)}(?!\w)", PAGE[part])
    ]
    assert missing == []


def test_the_schedule_is_the_templates() -> None:
    template = yaml_parse((PROJECT / "template.yaml").read_text())
    pauses = [timedelta(seconds=int(one)) for one in template["Parameters"]["RetryDelaysSeconds"]["Default"].split(",")]
    shown = [
        f"{pause // HOUR} h" if pause >= HOUR else f"{pause // MINUTE} min" if pause >= MINUTE else f"{pause.seconds} s"
        for pause in pauses
    ]

    assert f"\n{', '.join(shown)}\n" in PAGE["Retries"]
    assert f"{len(pauses) + 1} attempts within some {sum(pauses, timedelta(0)).days} days" in PAGE["Retries"]


def test_there_is_a_check_and_an_endpoint_in_each_language() -> None:
    assert list(snippets("webhooks.md")) == [
        "verify.py",
        "endpoint.py",
        "verify.mjs",
        "endpoint.mjs",
        "verify.sh",
        "try.sh",
    ]
