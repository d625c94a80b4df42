"""Tests of the notice: its content for one backup and for many, and that no name changes how it is read."""

from __future__ import annotations

import unicodedata
from zoneinfo import ZoneInfo

import msgspec
import pytest
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import BackupMissed, Event, EventType
from backup_webhooks.reports.email import Email
from backup_webhooks.reports.notice_email import notice_email
from hypothesis import given
from hypothesis import strategies as st

from tests.support.emails import ReadEmail
from tests.support.policies import at, finished
from tests.support.reports import PAGE, UNSUBSCRIBE

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def failed(start: str = "12-20 01:00", end: str = "12-20 01:39:38", name: str = "IL1TESTWEB01", **fields: str) -> Event:
    made = finished(start, end, "FAILED", server_id=name)
    return msgspec.structs.replace(made, **({"account_policy_name": "Nightly"} | fields))


def missed(expected: str = "12-20 17:00", name: str = "IL1TESTWEB01", policy: str = "Nightly") -> Event:
    return BackupMissed(
        account_alias="TEST",
        server_id=name,
        server_policy_id="sp",
        account_policy_id="ap",
        account_policy_name=policy,
        storage_region="US WEST",
        expected_date=at(expected),
    )


def unfinished() -> Event:
    return example_event("TEST", EventType.UNFINISHED, at("12-20 17:00"))


def stale() -> Event:
    return example_event("TEST", EventType.STALE, at("12-20 17:00"))


def email(*events: Event, account: str = "TEST") -> Email:
    return notice_email(account, events, ZoneInfo("Europe/Berlin"), PAGE, UNSUBSCRIBE)


def both(made: Email) -> tuple[str, str]:
    """Return the words of both parts, without line breaks."""
    return ReadEmail(made.html).text, " ".join(made.text.split())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([failed()], "Backup failed: IL1TESTWEB01 (TEST)"),
        ([missed()], "Backup missed: IL1TESTWEB01 (TEST)"),
        ([unfinished()], "Backup unfinished: TEST-MESSAGE (TEST)"),
        ([stale()], "Backup stale: TEST-MESSAGE (TEST)"),
        ([stale(), unfinished(), failed()], "1 backup failed, 1 stale, 1 unfinished (TEST)"),
        ([failed(), failed()], "2 backups failed (TEST)"),
        ([missed(), failed(), missed(), failed(), failed()], "3 backups failed, 2 missed (TEST)"),
        ([missed(), failed()], "1 backup failed, 1 missed (TEST)"),
        ([missed()] * 1200, "1,200 backups missed (TEST)"),
    ],
)
def test_its_subject_says_what_happened(events: list[Event], expected: str) -> None:
    assert email(*events).subject == expected


def test_unfinished_and_stale_backups_say_since_when() -> None:
    for part in both(email(unfinished(), stale())):
        assert "Started" in part
        assert "No success since" in part
        assert part.count("2018-12-19 18:00:00") == 2


def test_a_failed_backup_is_reported_with_all_that_is_known() -> None:
    for said in both(email(failed(restore_point_id="rp 7"))):
        assert "IL1TESTWEB01" in said
        assert "Nightly" in said
        assert "TEST" in said
        assert "2018-12-20 02:00:00" in said
        assert "2018-12-20 02:39:38" in said
        assert "rp 7" in said


def test_a_missed_backup_is_reported_with_its_scheduled_start() -> None:
    for said in both(email(missed())):
        assert "2018-12-20 18:00:00" in said
        assert "Times are in Europe/Berlin." in said
        assert "Restore point" not in said


def test_many_are_listed_in_the_order_of_time() -> None:
    for said in both(email(missed(name="LAST"), failed("12-20 02:00", "12-20 02:10", "SECOND"), failed(name="FIRST"))):
        # The last occurrences stand in the list; the preview may name the servers before.
        assert said.rindex("FIRST") < said.rindex("SECOND") < said.rindex("LAST")


def test_200_are_listed_and_the_others_counted() -> None:
    made = email(*(failed(name=f"S{number:04}") for number in range(1300)))

    assert made.text.count("* S") == 200
    assert sum(row[0].startswith("S") for row in ReadEmail(made.html).rows if len(row) == 2) == 201
    assert all("And 1,100 more." in said for said in both(made))


def test_both_parts_lead_to_the_page_and_out_of_the_list() -> None:
    made = email(failed())

    assert {PAGE, UNSUBSCRIBE} <= set(made.text.splitlines())
    assert {link.attributes["href"] for link in ReadEmail(made.html).of("a")} == {PAGE, UNSUBSCRIBE}
    assert made.attachments == ()


@given(st.text(min_size=1, max_size=100))
def test_no_name_changes_how_it_is_read(name: str) -> None:
    hostile = [failed(name=name, account_policy_name=name, restore_point_id=name), missed(name=name, policy=name)]
    made = email(*hostile, account=name)
    alone = email(hostile[0], account=name)
    read = ReadEmail(made.html)

    assert read.well_formed
    assert read.shapes == ReadEmail(email(failed(), missed()).html).shapes
    for line in (made.subject, alone.subject):
        assert len(line) <= 150
        assert len(line.splitlines()) == 1
    shown = {unicodedata.category(c): c for c in made.subject + alone.subject + made.text if c not in "\n\u2068\u2069"}
    assert not shown.keys() & INVISIBLE


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"><img src=x onerror='1'>", "=cmd()", "x" * 10_000])
def test_markup_in_a_name_stays_text(name: str) -> None:
    read = ReadEmail(email(failed(name=name, account_policy_name=name), account=name).html)

    assert not read.of("script") + read.of("img")
    assert name[:20] in read.text
