"""The items of ServerPoliciesTable: a tracked policy in attributes, and back.

Timestamps are text in ISO 8601 to the millisecond, UTC, which sorts by time. `days`: the first day with counts, then
each day's, such as `s` or `pf2mu` (one success; a partial success, two failures, a miss, an unfinished backup), and
`+n` for n days without any. `streaks` maps an event type to its streak, `"{count} {since} {latest}"`. So do
`lateStreaks` and `recovered`, the streaks that ended at `recoveredAt`. `openRuns` and `unfinishedRun`: `"{start}
{limit} {start as sent} {restore point id, if known}"`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from backup_webhooks.events.messages import ACTIVE
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.daily_counts import DailyCounts, DayCounts
from backup_webhooks.monitoring.expectation import History
from backup_webhooks.monitoring.runs import OpenRuns, Run
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policy import PolicyIdentity, ServerPolicy
from backup_webhooks.monitoring.staleness import Staleness
from backup_webhooks.monitoring.streaks_items import streaks_of, streaks_values

SHARDS = 16
_DAY = timedelta(days=1)
_LETTERS = "spfmu"
_COUNT = re.compile(r"([spfmu])(\d*)")
_IDENTITY_ATTRIBUTES = {
    "server_id": "serverId",
    "account_policy_id": "accountPolicyId",
    "account_policy_name": "accountPolicyName",
    "storage_region": "storageRegion",
}
_POLICY_ATTRIBUTES = _IDENTITY_ATTRIBUTES | {
    "account_policy_status": "accountPolicyStatus",
    "server_policy_status": "serverPolicyStatus",
    "changed_at": "changedDate",
    "backup_schedule": "backupSchedule",
    "backup_interval_hours": "backupIntervalHours",
    "longest_run_minutes": "longestRunMinutes",
    "good_backup_age_hours": "goodBackupAgeHours",
    "sent_at": "sentDate",
    "is_believed": "believed",
    "timezone": "timezone",
}
_HISTORY_ATTRIBUTES = {
    "settled_until": "settledUntil",
    "starts": "starts",
    "finishes": "finishes",
    "overdue": "overdue",
    "last_status": "lastStatus",
}
_DEFAULTS: Mapping[str, Any] = {
    "accountPolicyStatus": ACTIVE,
    "serverPolicyStatus": ACTIVE,
    "timezone": "UTC",
    "believed": True,
    "watched": True,
}
_STALENESS_ATTRIBUTES = {
    "counts_from": "countsFrom",
    "paused_at": "pausedAt",
    "reported_since": "staleSince",
}
_TIMESTAMPS = {"changed_at", "sent_at", "settled_until", "starts", "finishes", "overdue", *_STALENESS_ATTRIBUTES}
_NUMBERS = {"backup_interval_hours", "longest_run_minutes", "good_backup_age_hours"}


def shard_of(server_policy_id: str) -> int:
    """Return the policy's partition of the index `due`: 16 of them share what falls due at the same minute."""
    return zlib.crc32(server_policy_id.encode()) % SHARDS


def policy_item(tracked: TrackedPolicy) -> dict[str, Any]:
    """Return the item's attributes without None, empty ones and defaults: no index takes NULL, and each byte costs."""
    # Not by `asdict` and `astuple`: they copy each of a month's timestamps and take ten times as long.
    values: dict[str, Any] = {
        attribute: getattr(part, name)
        for part, attributes in (
            (tracked.history, _HISTORY_ATTRIBUTES),
            (tracked.staleness, _STALENESS_ATTRIBUTES),
        )
        for name, attribute in attributes.items()
    }
    if identity := tracked.identity:
        attributes = _POLICY_ATTRIBUTES if tracked.policy else _IDENTITY_ATTRIBUTES
        values |= {attribute: getattr(identity, name) for name, attribute in attributes.items()}
    values["days"] = _days_text(tracked.daily_counts)
    values |= streaks_values(tracked.streaks)
    values |= _runs_values(tracked.runs)
    values["expectedAt"] = tracked.expected_at
    if tracked.deadline:
        values["deadline"] = tracked.deadline
        values["dueShard"] = shard_of(tracked.server_policy_id)
    values["watched"] = tracked.watched
    values["troubledSince"] = tracked.troubled_since
    values |= {"lastMissedAt": tracked.last_missed_at, "forgottenUntil": tracked.forgotten_until}
    values |= {"account": tracked.account, "serverPolicyId": tracked.server_policy_id, "revision": tracked.revision}
    return {
        name: _to_text(value)
        for name, value in values.items()
        if value not in (None, ()) and value != _DEFAULTS.get(name)
    }


def tracked_policy(item: Mapping[str, Any]) -> TrackedPolicy:
    """Return the tracked policy that the item holds."""
    item = {**_DEFAULTS, **item}
    policy, identity = None, None
    if "changedDate" in item:
        policy = ServerPolicy(**_values(item, _POLICY_ATTRIBUTES))
    elif "serverId" in item:
        identity = PolicyIdentity(**_values(item, _IDENTITY_ATTRIBUTES))
    return TrackedPolicy(
        account=item["account"],
        server_policy_id=item["serverPolicyId"],
        policy=policy,
        watched=item["watched"],
        history=History(**_values(item, _HISTORY_ATTRIBUTES)),
        expected_at=_from_text(item.get("expectedAt")),
        deadline=_from_text(item.get("deadline")),
        runs=_runs(item),
        staleness=Staleness(**_values(item, _STALENESS_ATTRIBUTES)),
        last_missed_at=_from_text(item.get("lastMissedAt")),
        forgotten_until=_from_text(item.get("forgottenUntil")),
        daily_counts=daily_counts(item),
        streaks=streaks_of(item),
        identity_from_backup=identity,
        revision=int(item["revision"]),
    )


def daily_counts(item: Mapping[str, Any]) -> DailyCounts:
    """Return the daily counts that the item holds."""
    by_day: dict[date, DayCounts] = {}
    if "days" not in item:
        return by_day
    first, *texts = item["days"].split()
    day = date.fromisoformat(first)
    for text in texts:
        if text[0] == "+":
            day += timedelta(days=int(text))
        else:
            by_day[day] = _counts(text)
            day += _DAY
    return by_day


@lru_cache  # Most days are alike.
def _counts(text: str) -> DayCounts:
    numbers = dict(_COUNT.findall(text))
    return DayCounts(*(int(numbers.get(letter, "0") or "1") for letter in _LETTERS))


def _days_text(daily_counts: DailyCounts) -> str | None:
    if not daily_counts:
        return None
    day = min(daily_counts)
    texts = [str(day)]
    for counted in sorted(daily_counts):
        if counted > day:
            texts.append(f"+{(counted - day).days}")
        texts.append(_counts_text(daily_counts[counted]))
        day = counted + _DAY
    return " ".join(texts)


@lru_cache
def _counts_text(counts: DayCounts) -> str:
    numbers = (counts.success, counts.partial_success, counts.failed, counts.missed, counts.unfinished)
    return "".join(
        f"{letter}{number}" if number > 1 else letter
        for letter, number in zip(_LETTERS, numbers, strict=True)
        if number
    )


def _runs_values(runs: OpenRuns) -> dict[str, Any]:
    return {
        "openRuns": [_run_text(run) for run in runs.waiting] or None,
        "unfinishedRun": _run_text(runs.unfinished) if runs.unfinished else None,
        "closedUntil": runs.closed_until,
        "endedAhead": list(runs.ended_ahead) or None,
    }


def _run_text(run: Run) -> str:
    times = map(iso_milliseconds, (run.started_at, run.limit_at, run.sent_start))
    return " ".join([*times, run.restore_point_id or ""])


def _runs(item: Mapping[str, Any]) -> OpenRuns:
    return OpenRuns(
        waiting=tuple(map(_run, item.get("openRuns", ()))),
        unfinished=_run(item["unfinishedRun"]) if "unfinishedRun" in item else None,
        closed_until=_from_text(item.get("closedUntil")),
        ended_ahead=tuple(item.get("endedAhead", ())),
    )


def _run(text: str) -> Run:
    started_at, limit_at, sent_start, restore_point_id = text.split(" ", 3)
    return Run(_from_text(started_at), _from_text(limit_at), _from_text(sent_start), restore_point_id or None)


def _values(item: Mapping[str, Any], attributes: dict[str, str]) -> dict[str, Any]:
    return {
        name: _from_text(value) if name in _TIMESTAMPS else int(value) if name in _NUMBERS else value
        for name, attribute in attributes.items()
        if (value := item.get(attribute)) is not None
    }


def _to_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_milliseconds(value)
    return [iso_milliseconds(timestamp) for timestamp in value] if isinstance(value, tuple) else value


def _from_text(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(datetime.fromisoformat(text) for text in value)
    return value and datetime.fromisoformat(value)
