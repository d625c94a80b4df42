"""Streaks in the attributes of ServerPoliciesTable (`items` describes them), without the schedules beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.streaks import Recovery, Streak, Streaks


def streaks_values(streaks: Streaks) -> dict[str, Any]:
    """Return the attributes that hold the streaks."""
    recovery = streaks.recovery
    return {
        "streaks": _streaks_text(streaks.by_event_type),
        "lateStreaks": _streaks_text(streaks.late),
        "lastSuccessAt": streaks.last_success_at,
        "recoveredAt": recovery and recovery.at,
        "recovered": _streaks_text(recovery.by_event_type) if recovery else None,
    }


def _streaks_text(streaks: Mapping[EventType, Streak]) -> dict[str, str] | None:
    return {str(event_type): _streak_text(streak) for event_type, streak in streaks.items()} or None


def _streak_text(streak: Streak) -> str:
    return f"{streak.count} {iso_milliseconds(streak.since)} {iso_milliseconds(streak.latest)}"


def streaks_of(item: Mapping[str, Any]) -> Streaks:
    """Return the streaks that the item holds."""
    by_event_type, late, recovered = (
        {EventType(event_type): _streak(text) for event_type, text in item.get(name, {}).items()}
        for name in ("streaks", "lateStreaks", "recovered")
    )
    return Streaks(
        by_event_type=by_event_type,
        late=late,
        last_success_at=Timestamp.parse(item["lastSuccessAt"]) if item.get("lastSuccessAt") else None,
        recovery=Recovery(Timestamp.parse(item["recoveredAt"]), recovered) if recovered else None,
    )


def _streak(text: str) -> Streak:
    count, since, latest = text.split()
    return Streak(Timestamp.parse(since), Timestamp.parse(latest), int(count))
