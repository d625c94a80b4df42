"""The state of a server policy, in one word."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from backup_webhooks.events.messages import BackupStatus
from backup_webhooks.monitoring.server_policies import TrackedPolicy


class ServerState(StrEnum):
    """The states from the best to the worst, and then those without a result."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LATE = "late"
    """The expected start has passed and is not reported as missed: its hour goes on, or starts may be unread."""
    MISSED = "missed"
    UNWATCHED = "unwatched"
    """A person has stopped watching it, or its schedule cannot be used, and its last result needs no attention."""
    INACTIVE = "inactive"
    UNKNOWN = "unknown"
    """No backup has been reported yet."""


_OF_STATUS = {
    BackupStatus.SUCCESS: ServerState.OK,
    BackupStatus.PARTIAL_SUCCESS: ServerState.PARTIAL,
    BackupStatus.FAILED: ServerState.FAILED,
    BackupStatus.CANCELLED: ServerState.CANCELLED,
}
_WITHOUT_TROUBLE = (ServerState.OK, ServerState.UNKNOWN)


def server_state(tracked: TrackedPolicy, now: datetime) -> ServerState:
    """Return the state at `now`. A missed or late start comes before the result of the last backup.

    Only the detector decides that a start was missed. The clock cannot: a start may still wait in the queue.
    """
    if tracked.policy and not tracked.policy.active:
        return ServerState.INACTIVE
    if _last_was_missed(tracked):
        return ServerState.MISSED
    if tracked.expected_at and tracked.expected_at < now:
        return ServerState.LATE
    status = tracked.history.last_status
    state = _OF_STATUS[BackupStatus(status)] if status else ServerState.UNKNOWN
    unwatched = not tracked.watched or (tracked.policy and tracked.policy.schedule_problem)
    return ServerState.UNWATCHED if unwatched and state in _WITHOUT_TROUBLE else state


def _last_was_missed(tracked: TrackedPolicy) -> bool:
    started = tracked.history.last_started_at
    return tracked.last_missed_at is not None and (started is None or started < tracked.last_missed_at)
