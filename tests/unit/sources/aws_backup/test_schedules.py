"""AWS Backup's schedule expressions become schedules of messages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.schedules.quartz import InvalidSchedule
from backup_webhooks.sources.aws_backup.schedules import ServerSchedule

from tests.support.policies import at


@pytest.mark.parametrize(
    ("expression", "quartz"),
    [
        ("cron(0 5 ? * * *)", "0 0 5 ? * * *"),
        (None, "0 0 5 ? * * *"),
        # AWS's documentation of the field gives both.
        ("15 * ? * * *", "0 15 * ? * * *"),
        ("0 12 * * ? *", "0 0 12 * * ? *"),
        ("cron(0 10 ? * 6L *)", "0 0 10 ? * 6L *"),
        ("cron(0/30 8-17 ? * MON-FRI 2026)", "0 0/30 8-17 ? * MON-FRI 2026"),
        (" cron( 0 5 L * ? * ) ", "0 0 5 L * ? *"),
    ],
)
def test_awss_cron_is_quartz_cron_without_seconds(expression: str | None, quartz: str) -> None:
    assert ServerSchedule.of(expression, None) == ServerSchedule(backup_schedule=quartz, timezone="UTC")


def test_a_schedule_fires_in_its_own_zone() -> None:
    schedule = ServerSchedule.of("cron(0 5 ? * * *)", "America/New_York")

    assert schedule.next_after(at("2026-11-25T00:00:00Z")) == at("2026-11-25T10:00:00Z")


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(1 hour)", 1),
        ("rate(12 hours)", 12),
        ("rate(1 day)", 24),
        ("rate(120 minutes)", 2),
        ("rate(366 days)", 8784),
    ],
)
def test_a_rate_is_an_interval(expression: str, hours: int) -> None:
    assert ServerSchedule.of(expression, None) == ServerSchedule(backup_interval_hours=hours)


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("rate(90 minutes)", None, "expression"),
        ("rate(0 hours)", None, "expression"),
        ("rate(367 days)", None, "expression"),
        ("rate(1 fortnight)", None, "expression"),
        ("cron(0 5 * * *)", None, "expression"),
        ("cron(0 0 5 ? * * *)", None, "expression"),
        ("cron(0 25 ? * * *)", None, "hours"),
        ("cron(0 5 * * * *)", None, "day-of-week"),
        ("cron(0 5 ? * * 2150)", None, "year"),
        ("at(2026-11-25T05:00:00)", None, "expression"),
        ("cron(0 5 ? * * *)", "Mars/Olympus", "timezone"),
    ],
)
def test_an_expression_that_cannot_be_converted_is_refused_with_field_and_reason(
    expression: str, zone: str | None, field: str
) -> None:
    with pytest.raises(InvalidSchedule) as refusal:
        ServerSchedule.of(expression, zone)

    assert refusal.value.field == field
    assert refusal.value.problem


@pytest.mark.parametrize(
    ("expression", "silence"),
    [
        ("cron(0 5 ? * * *)", timedelta(days=2)),
        ("cron(0 * ? * * *)", timedelta(days=2)),
        # Twice the time from Friday to Monday.
        ("cron(0 5 ? * MON-FRI *)", timedelta(days=6)),
        ("cron(0 5 1 * ? *)", timedelta(days=62)),
        ("rate(3 days)", timedelta(days=6)),
        ("cron(0 5 1 1 ? 2020)", timedelta(days=2)),
    ],
)
def test_a_resource_may_be_silent_for_twice_the_longest_pause(expression: str, silence: timedelta) -> None:
    assert ServerSchedule.of(expression, None).longest_silence(at("2026-11-25T06:00:00Z")) == silence
