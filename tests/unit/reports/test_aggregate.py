"""Tests of the aggregate: which backups a report counts, and how."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.reports.aggregate import KnownServer, Period, ReportAggregate
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.report import Report, ReportKind

from tests.support.policies import POLICY_ID, at, changed, finished, tracked

DAY = timedelta(days=1)
DAYS = ReportDays(7, ZoneInfo("UTC"))
END = at("12-20 07:00")
SERVER = KnownServer(POLICY_ID, "SERVER", "Nightly", ServerState.OK, active=True)


def backup(ended: str, result: str = "SUCCESS", recorded: str | None = None, **changes: Any) -> Backup:
    ended_backup = Backup(
        account="TEST",
        server_id="SERVER",
        server_policy_id=POLICY_ID,
        account_policy_id="ap-1",
        account_policy_name="Nightly",
        storage_region="US WEST",
        result=BackupResult(result),
        occurred_at=at(ended),
        recorded_at=at(recorded or ended),
    )
    return dataclasses.replace(ended_backup, **changes)


def aggregate(kind: ReportKind = ReportKind.DAILY, **changes: Any) -> ReportAggregate:
    """Return the aggregate of the day to 20 December at 07:00. The report before had its cut a minute after its end."""
    start = DAYS.start(kind, END)
    period = Period(kind, DAYS.start(kind, start), start, END, END + timedelta(minutes=1), start + timedelta(minutes=1))
    return ReportAggregate(dataclasses.replace(period, **changes), DAYS.before(END, 7), DAYS.ends(END, 7))


def report(*backups: Backup, known: tuple[KnownServer, ...] = (SERVER,), **changes: Any) -> Report:
    counted = aggregate(**changes)
    for each in sorted(backups, key=lambda each: each.occurred_at):
        counted.add(each)
    return counted.report("TEST", ZoneInfo("UTC"), known)


def test_the_backups_of_the_time_are_counted_by_result() -> None:
    made = report(
        backup("12-19 07:00"),
        backup("12-19 12:00"),
        backup("12-19 13:00", "PARTIAL_SUCCESS"),
        backup("12-19 14:00", "FAILED"),
        backup("12-19 15:00", "MISSED"),
        backup("12-19 16:00", "UNFINISHED"),
        backup("12-19 17:00", "STALE"),
        backup("12-20 06:59:59.999", "CANCELLED"),
        backup("12-20 07:00"),
        backup("12-19 06:59:59.999"),
    )

    assert made.totals == DayCounts(success=2, partial_success=1, failed=1, missed=1, unfinished=1)
    assert made.cancelled == 1
    assert made.before == DayCounts(success=1)
    assert (made.ended, made.missed) == (5, 1)


def test_backups_recorded_after_the_cut_are_left_to_the_next_report() -> None:
    late = backup("12-20 06:00", "FAILED", recorded="12-20 07:01:00.001")

    assert report(late).totals == DayCounts()
    following = Period(ReportKind.DAILY, at("12-19 07:00"), END, END + DAY, END + DAY, END + timedelta(minutes=1))
    assert following.is_counted(late)
    assert following.is_late(late)


def test_a_late_backup_is_counted_and_said_to_be_late() -> None:
    made = report(
        backup("12-18 23:00", "FAILED", recorded="12-19 07:01:00.001"),
        backup("12-18 22:00", "FAILED", recorded="12-19 07:01"),
    )

    assert made.totals == DayCounts(failed=1)
    assert made.late == DayCounts(failed=1)
    assert made.before == DayCounts(failed=1)
    assert (made.ended, made.missed) == (0, 0)


def test_the_first_report_of_all_has_nothing_late() -> None:
    made = report(backup("12-18 23:00", "FAILED", recorded="12-19 12:00"), cut_before=None)

    assert made.totals == DayCounts()


def test_a_strip_shows_the_last_seven_report_days() -> None:
    made = report(
        backup("12-13 06:59:59.999", "FAILED"),
        backup("12-13 07:00", "MISSED"),
        backup("12-19 06:59:59.999", "PARTIAL_SUCCESS"),
        backup("12-19 07:00"),
        backup("12-20 06:00", "FAILED"),
    )

    (line,) = made.servers
    assert line.strip == [
        DayCounts(missed=1),
        *[DayCounts()] * 4,
        DayCounts(partial_success=1),
        DayCounts(success=1, failed=1),
    ]
    assert line.period == DayCounts(success=1, failed=1)
    assert line.last_at == at("12-20 06:00")


def test_a_weekly_report_counts_seven_days_and_compares_them_with_those_before() -> None:
    made = report(
        backup("12-05 08:00"),
        backup("12-06 08:00", "FAILED"),
        backup("12-13 08:00"),
        backup("12-20 06:00"),
        kind=ReportKind.WEEKLY,
    )

    assert made.totals == DayCounts(success=2)
    assert made.before == DayCounts(failed=1)


def server(name: str, state: ServerState = ServerState.OK, active: bool | None = True) -> KnownServer:
    return KnownServer(name, name, "Nightly", state, active=active)


def of(name: str, ended: str, result: str) -> Backup:
    return backup(ended, result, server_policy_id=name, server_id=name)


def test_present_trouble_comes_before_past_trouble_and_the_worst_first() -> None:
    known = (
        server("fine"),
        server("recovered"),
        server("partial", ServerState.PARTIAL),
        server("failed", ServerState.FAILED),
        server("still failed", ServerState.FAILED),
        server("missed", ServerState.MISSED),
        server("stale", ServerState.STALE),
        server("unfinished", ServerState.UNFINISHED),
        server("hung", ServerState.FAILED),
        server("running", ServerState.RUNNING),
    )
    made = report(
        of("fine", "12-20 01:00", "SUCCESS"),
        of("recovered", "12-20 01:00", "FAILED"),
        of("recovered", "12-20 02:00", "SUCCESS"),
        of("partial", "12-20 01:00", "PARTIAL_SUCCESS"),
        of("failed", "12-20 01:00", "FAILED"),
        of("still failed", "12-17 01:00", "FAILED"),
        of("missed", "12-20 01:00", "MISSED"),
        of("hung", "12-20 01:00", "UNFINISHED"),
        known=known,
    )

    names = [line.server_id for line in made.attention]
    assert names == ["unfinished", "missed", "stale", "failed", "hung", "still failed", "partial", "recovered"]
    assert [line.server_id for line in made.servers] == sorted(policy.server_id for policy in known)


@pytest.mark.parametrize(
    ("active", "backups", "listed"),
    [
        (True, (), True),
        (False, (), False),
        (False, (of("one", "12-20 01:00", "SUCCESS"),), True),
        (False, (of("one", "12-18 01:00", "SUCCESS"),), False),
        (None, (), False),
        (None, (of("one", "12-18 01:00", "SUCCESS"),), True),
    ],
)
def test_inactive_servers_are_listed_only_with_backups_of_the_time(
    active: bool | None, backups: tuple[Backup, ...], listed: bool
) -> None:
    assert bool(report(*backups, known=(server("one", active=active),)).servers) == listed


def test_a_backup_of_a_removed_server_policy_is_reported() -> None:
    made = report(of("gone", "12-20 01:00", "FAILED"), known=())

    (line,) = made.servers
    assert (line.server_id, line.state, line.period) == ("gone", ServerState.UNKNOWN, DayCounts(failed=1))
    assert made.attention == [line]


def test_a_known_server_has_its_policy_and_its_state() -> None:
    known = KnownServer.of(
        tracked(changed("12-19 09:00"), finished("12-19 17:00", "12-19 17:30", "FAILED")), at("12-20 07:00")
    )

    assert known == KnownServer(
        server_policy_id=POLICY_ID,
        server_id="testServerId20181228013921",
        account_policy_name="TestAccountPolicyName20181228013921",
        state=known.state,
        active=True,
        next_expected_at=at("12-20 17:00"),
        statuses=("ACTIVE", "ACTIVE"),
    )
    assert KnownServer.of(tracked(finished("12-19 17:00", "12-19 17:30")), END).active is None
    inactive = changed("12-18 09:00", server_policy_status="INACTIVE")
    assert KnownServer.of(tracked(inactive), END).active is False
