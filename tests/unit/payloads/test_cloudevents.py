"""The format `cloudevents`, read by the CloudEvents project's own SDK."""

from __future__ import annotations

import re

import pytest
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import format_named, render
from backup_webhooks.payloads.detailed import payload as detailed
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden_payloads import CASES, example

# The part of RFC 3986 that applies to a path.
URI_REFERENCE = re.compile(r"/[A-Za-z0-9/._~%-]*")
# Characters that a String attribute may not hold (spec.md, "Type System").
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U0010ffff]")


def read(name: str, **changes: str) -> BaseCloudEvent:
    body = render("cloudevents", example(name, **changes))
    content_type = format_named("cloudevents").content_type
    return from_http(HTTPMessage({"content-type": content_type}, body), JSONFormat())


@pytest.mark.parametrize("case", CASES)
def test_the_sdk_reads_each_case_as_an_event_of_version_1_with_the_facts_of_detailed(case: str) -> None:
    name, changes = CASES[case]
    message = example(name, **changes)

    event = read(name, **changes)

    assert event.get_specversion() == "1.0"
    assert event.get_type() == f"io.ctl.simplebackup.{message.event_type}"
    assert event.get_time() == message.occurred_at
    assert event.get_data() == detailed(message)
    assert URI_REFERENCE.fullmatch(event.get_source())


def test_the_content_type_is_that_of_structured_mode() -> None:
    assert format_named("cloudevents").content_type == "application/cloudevents+json"


def test_an_event_is_the_same_each_time_and_another_than_others() -> None:
    first, again = (read("backup-failed.json").get_id() for _ in range(2))
    others = [
        read("backup-failed.json", restorePointId="another"),
        read("backup-failed.json", accountAlias="OTHR"),
        read("backup-failed.json", backupFinishedDate="2018-12-20T01:39:38.001Z"),
        read("backup-failed.json", restorePointCreationStatus="SUCCESS"),
    ]

    assert first == again
    assert len({first, *(other.get_id() for other in others)}) == 5


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=64)
)
def test_no_name_puts_a_forbidden_character_into_an_attribute(name: str) -> None:
    event = read("backup-failed.json", accountAlias=name, serverId=name)

    assert not FORBIDDEN.search(event.get_subject() or "")
    assert URI_REFERENCE.fullmatch(event.get_source())


def test_the_time_is_rfc_3339() -> None:
    message = example("backup-missed.json")

    assert f'"time":"{iso_milliseconds(message.occurred_at)}"'.encode() in render("cloudevents", message)
