"""Servers of a large account, each with a month of results: made by the rules of the service, from a number alone."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from functools import lru_cache

from backup_webhooks.events.messages import (
    ACTIVE,
    INACTIVE,
    TOLERANCE,
    BackupFinished,
    BackupStarted,
    BackupStatus,
    RecordedEvent,
    ServerPolicyChanged,
    identity_of,
)
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from msgspec.structs import replace

# As much of the history of backups as a report reads.
REPORTED = timedelta(days=8)
_DATA_CENTRES, _ROLES = ("CA3", "GB3", "IL1", "VA1"), ("APP", "BUILD", "DB", "FILES", "MAIL", "WEB", "WIN")
_ZONES = ("UTC", "UTC", "America/Chicago", "America/New_York", "Europe/London")
_EVENING_HOUR, _NIGHT_MINUTES = 20, 600
_INTERVALS, _INACTIVE, _WEEKDAYS = 0.06, 0.03, 0.1  # shares of all servers
# Of a server's backups, the shares that are missed, fail and succeed in part; then how many servers in 100 are so.
_RELIABILITIES = {(0.005, 0.01, 0.02): 92, (0.1, 0.2, 0.1): 5, (0.9, 0.0, 0.0): 1, (0.0, 0.95, 0.0): 2}
_MONTH, _ACTIVE_FOR = timedelta(days=30), timedelta(days=21)
# The rule of missed backups takes some 5 ms for a month, so some servers share all but their names.
_PATTERNS = 1000


def filled_server(account: str, number: int, now: datetime) -> tuple[TrackedPolicy, list[RecordedEvent]]:
    """Return the tracked policy of the server with that number, and its reported backups and misses."""
    tracked, events = _pattern((number - 1) % _PATTERNS, now)
    place, role = (names[number % len(names)] for names in (_DATA_CENTRES, _ROLES))
    # From the name, as `policy put` makes it.
    policy_id = uuid.uuid5(uuid.NAMESPACE_DNS, server_id := f"{place}{account}{role}{number:05}")
    both = {"server_id": server_id, "account_policy_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, account))}
    identity = both | {"account_alias": account, "server_policy_id": str(policy_id)}
    own = replace(
        tracked,
        account=account,
        server_policy_id=str(policy_id),
        policy=tracked.policy and replace(tracked.policy, **both),
    )
    return own, [
        replace(event, **identity, restore_point_id=str(uuid.uuid5(policy_id, event.restore_point_id)))
        if isinstance(event, BackupFinished)
        else replace(event, **identity)
        for event in events
    ]


@lru_cache(_PATTERNS)
def _pattern(number: int, now: datetime) -> tuple[TrackedPolicy, list[RecordedEvent]]:
    """Return the tracked policy of servers of one pattern, after at least 30 days, and its reported backups and misses.

    All but the names depends on the number alone.
    """
    rng = random.Random(number)  # noqa: S311 - invents a demo
    # It begins on a Monday, so that an interval's backups are at the same times if this is done again.
    begin = (now - _MONTH).replace(hour=0, minute=0, second=0, microsecond=0)
    changed = _changed(rng, begin - timedelta(days=begin.weekday(), minutes=rng.randrange(24 * 60)))
    shares = rng.choices(list(_RELIABILITIES), list(_RELIABILITIES.values()))[0]
    active_until = changed.changed_date + _ACTIVE_FOR if rng.random() < _INACTIVE else now
    tracked, events = TrackedPolicy("", "").after(changed), list[RecordedEvent]()
    while tracked.expected_at and tracked.expected_at < active_until:
        # Of the expected start's own, so that it has the same result if this is done again.
        rng = random.Random(f"{number} {tracked.expected_at}")  # noqa: S311 - invents a demo
        tracked, event = _next(tracked, rng, shares, now)
        if event is None:
            break
        events.append(event)
        while report := tracked.report_due(min(tracked.expected_at or now, now)):
            tracked = tracked.after_report(report.event, begin)
            events.append(report.event)
    if active_until < now:
        tracked = tracked.after(
            replace(changed, server_policy_status=INACTIVE, changed_date=Timestamp.of(active_until))
        )
    return tracked.judged_anew(), [event for event in events if event.occurred_at > now - REPORTED]


def _changed(rng: random.Random, at: datetime) -> ServerPolicyChanged:
    """Return the policy's message: most have a time in the night, some an interval."""
    hour, minute = divmod(_EVENING_HOUR * 60 + rng.randrange(0, _NIGHT_MINUTES, 5), 60)
    days = "? * MON-FRI" if rng.random() < _WEEKDAYS else "* * ?"
    interval = rng.choice((6, 12, 24)) if rng.random() < _INTERVALS else None
    return ServerPolicyChanged(
        server_policy_id="",
        account_policy_id="",
        name="Continuous" if interval else "Nightly",
        clc_account_alias="",
        server_id="",
        storage_region="US WEST",
        account_policy_status=ACTIVE,
        server_policy_status=ACTIVE,
        changed_date=Timestamp.of(at),
        backup_schedule=None if interval else f"0 {minute} {hour % 24} {days}",
        backup_interval_hours=interval,
        timezone=rng.choice(_ZONES),
    )


def _next(
    tracked: TrackedPolicy, rng: random.Random, shares: tuple[float, ...], now: datetime
) -> tuple[TrackedPolicy, RecordedEvent | None]:
    """Return the policy after its expected start, and the end or miss; None if that is still to come."""
    assert tracked.policy and tracked.expected_at  # noqa: S101 - the caller looks
    missed, failed, partial = shares
    if rng.random() < missed:
        if now <= tracked.expected_at + TOLERANCE:
            return tracked, None
        return tracked.after_miss(tracked.expected_at), tracked.miss()
    status = rng.choices(list(BackupStatus)[:3], (1 - failed - partial, partial, failed))[0]
    started = tracked.expected_at + timedelta(seconds=rng.randrange(5, 240))
    files = rng.randrange(10_000)
    ended = BackupFinished(
        account_alias="",
        server_id="",
        server_policy_id="",
        account_policy_id="",
        account_policy_name=tracked.policy.account_policy_name,
        storage_region=tracked.policy.storage_region,
        backup_started_date=Timestamp.of(started),
        backup_finished_date=Timestamp.of(started + timedelta(seconds=rng.randrange(60, 1800))),
        restore_point_id=iso_milliseconds(started),
        restore_point_creation_status=status,
        files_transferred_to_storage=files,
        bytes_transferred_to_storage=files * 100_000,
    )
    if ended.backup_finished_date <= now:
        return tracked.after(ended), ended
    if started > now:
        return tracked, None
    return tracked.after(BackupStarted(**identity_of(ended), backup_started_date=ended.backup_started_date)), None
