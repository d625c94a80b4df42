"""The state of a server policy, in one word."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from backup_webhooks.events.messages import TOLERANCE, BackupStatus
from backup_webhooks.monitoring.server_policies import TrackedPolicy


class ServerState(StrEnum):
    """The states. Page, report and API show the first that holds."""

    INACTIVE = "inactive"
    UNFINISHED = "unfinished"
    """A backup was reported as unfinished, and neither it nor a later one has ended."""
    MISSED = "missed"
    """The newest expected start was reported as missed, and no backup has started or ended since."""
    STALE = "stale"
    """The last success was reported as too old."""
    FAILED = "failed"
    LATE = "late"
    """The expected start has passed and is not reported as missed: its hour goes on, or starts may be unread."""
    RUNNING = "running"
    PARTIAL = "partial"
    CANCELLED = "cancelled"
    UNWATCHED = "unwatched"
    """No schedule is known that can be watched, or a person has stopped watching it."""
    OK = "ok"
    UNKNOWN = "unknown"
    """No backup has been reported yet."""


def server_state(tracked: TrackedPolicy, now: datetime) -> ServerState:
    """Return the state at `now`: the first of `ServerState` that holds.

    Only missed_backups decides that a start was missed, a run is unfinished or a success is too old. The clock cannot:
    a message may still wait in the queue.
    """
    status = tracked.history.last_status
    holds = {
        ServerState.INACTIVE: tracked.policy is not None and not tracked.policy.active,
        ServerState.UNFINISHED: tracked.runs.unfinished is not None,
        ServerState.MISSED: _last_was_missed(tracked),
        ServerState.STALE: tracked.stale_since is not None,
        ServerState.FAILED: status == BackupStatus.FAILED,
        ServerState.LATE: tracked.expected_at is not None and tracked.expected_at < now,
        ServerState.RUNNING: bool(tracked.runs.waiting),
        ServerState.PARTIAL: status == BackupStatus.PARTIAL_SUCCESS,
        ServerState.CANCELLED: status == BackupStatus.CANCELLED,
        ServerState.UNWATCHED: tracked.schedule is None,
        ServerState.OK: status == BackupStatus.SUCCESS,
        ServerState.UNKNOWN: True,
    }
    return next(state for state in ServerState if holds[state])


def _last_was_missed(tracked: TrackedPolicy) -> bool:
    missed_at, history = tracked.last_missed_at, tracked.history
    if missed_at is None:
        return False
    # A run that started too early to answer has ended after the deadline all the same: a success then is a recovery.
    started, ended = history.last_started_at, history.last_finished_at
    return (started is None or started < missed_at) and (ended is None or ended <= missed_at + TOLERANCE)
