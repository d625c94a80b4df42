"""Makes a report of an account's backups, added one by one: which of them it counts, and their totals.

A report counts the backups that were recorded after the cut of the report before it, up to its own cut. A backup that
ended in its period but is recorded later belongs to the next report, as a late one. So each backup is counted once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState, server_state
from backup_webhooks.reports.report import NO_BACKUPS, STRIP_DAYS, WORST_FIRST, Report, ReportKind, ServerLine

_COUNTS = {
    BackupResult.SUCCESS: DayCounts(success=1),
    BackupResult.PARTIAL_SUCCESS: DayCounts(partial_success=1),
    BackupResult.FAILED: DayCounts(failed=1),
    BackupResult.MISSED: DayCounts(missed=1),
    BackupResult.UNFINISHED: DayCounts(unfinished=1),
    BackupResult.CANCELLED: NO_BACKUPS,
    # The state of the server says so.
    BackupResult.STALE: NO_BACKUPS,
}


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` to `end` (exclusive) that a report covers. `before`: the start of the period before.

    `cut`: backups recorded later are left to the next report. `cut_before`: the cut of the report before, or None if
    this is the first.
    """

    kind: ReportKind
    before: datetime
    start: datetime
    end: datetime
    cut: datetime
    cut_before: datetime | None

    def is_known(self, backup: Backup) -> bool:
        """Return whether the backup is of the period or earlier, and was recorded up to the cut."""
        return backup.recorded_at <= self.cut and backup.occurred_at < self.end

    def is_counted(self, backup: Backup) -> bool:
        """Return whether the report counts this known backup."""
        return backup.occurred_at >= self.start or self.is_late(backup)

    def is_late(self, backup: Backup) -> bool:
        """Return whether the backup is of an earlier period and was recorded too late for its report."""
        return backup.occurred_at < self.start and self.cut_before is not None and backup.recorded_at > self.cut_before


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server policy as monitoring knows it.

    `active`: None if only backups of it are known, and no policy. `statuses`: of the server policy and of its account
    policy.
    """

    server_policy_id: str
    server_id: str
    account_policy_name: str
    state: ServerState = ServerState.UNKNOWN
    active: bool | None = None
    next_expected_at: datetime | None = None
    schedule_problem: str | None = None
    statuses: tuple[str, str] | None = None

    @classmethod
    def of(cls, tracked: TrackedPolicy, now: datetime) -> Self:
        """Return what is known at `now` of a server policy that was found by its account."""
        policy, identity = tracked.policy, tracked.identity
        assert identity is not None  # noqa: S101 - it holds the account
        return cls(
            server_policy_id=tracked.server_policy_id,
            server_id=identity.server_id,
            account_policy_name=identity.account_policy_name,
            state=server_state(tracked, now),
            active=policy.active if policy else None,
            next_expected_at=tracked.expected_at if tracked.schedule else None,
            schedule_problem=policy.schedule_problem if policy else None,
            statuses=(policy.server_policy_status, policy.account_policy_status) if policy else None,
        )


@dataclass(slots=True)
class _Server:
    """The counts of one server policy. `is_counted`: whether the report counts any backup of it."""

    server_id: str
    account_policy_name: str
    strip: list[DayCounts] = field(default_factory=lambda: [NO_BACKUPS] * STRIP_DAYS)
    period: DayCounts = NO_BACKUPS
    is_counted: bool = False
    last_at: datetime | None = None


@dataclass(slots=True)
class ReportAggregate:
    """Counts an account's backups, which are added in the order of their time, from `since` on.

    `strip_ends`: when each of the last seven report days ended, the oldest first; `strip_start`: when the first began.
    """

    period: Period
    strip_start: datetime
    strip_ends: Sequence[datetime]
    totals: DayCounts = NO_BACKUPS
    before: DayCounts = NO_BACKUPS
    cancelled: int = 0
    late: DayCounts = NO_BACKUPS
    late_cancelled: int = 0
    _servers: dict[str, _Server] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        """The time from which on the aggregate needs backups."""
        return min(self.period.before, self.strip_start)

    def add(self, backup: Backup) -> bool:
        """Add the backup to the counts that it belongs to, and return whether the report itself counts it."""
        if not self.period.is_known(backup):
            return False
        counts = _COUNTS[backup.result]
        server = self._servers.get(backup.server_policy_id)
        if server is None:
            server = _Server(backup.server_id, backup.account_policy_name)
            self._servers[backup.server_policy_id] = server
        if backup.occurred_at >= self.strip_start:
            server.last_at = backup.occurred_at
            server.strip[bisect_right(self.strip_ends, backup.occurred_at)] += counts
        if not self.period.is_counted(backup):
            if backup.occurred_at >= self.period.before:
                self.before += counts
            return False
        self.totals += counts
        self.cancelled += backup.result is BackupResult.CANCELLED
        if self.period.is_late(backup):
            self.late += counts
            self.late_cancelled += backup.result is BackupResult.CANCELLED
        server.period += counts
        server.is_counted = True
        return True

    def report(self, account: str, zone: ZoneInfo, known: Iterable[KnownServer]) -> Report:
        """Return the report of the backups that were added. `known`: the account's server policies."""
        lines = self._lines(known)
        attention = [line for line in lines if line.went_wrong or line.is_wrong]
        return Report(
            kind=self.period.kind,
            account=account,
            start=self.period.start,
            end=self.period.end,
            zone=zone,
            totals=self.totals,
            before=self.before,
            strip_ends=self.strip_ends,
            cancelled=self.cancelled,
            late=self.late,
            late_cancelled=self.late_cancelled,
            attention=sorted(attention, key=_urgency),
            servers=lines,
        )

    def _lines(self, known: Iterable[KnownServer]) -> list[ServerLine]:
        lines, unknown = [], dict(self._servers)
        for policy in known:
            server = unknown.pop(policy.server_policy_id, None)
            # A server that is inactive or gone is listed only while the report counts backups of it.
            if policy.active or (server and (server.is_counted or policy.active is None)):
                lines.append(_line(policy, server or _Server(policy.server_id, policy.account_policy_name)))
        for policy_id, server in unknown.items():
            if server.is_counted:
                lines.append(_line(KnownServer(policy_id, server.server_id, server.account_policy_name), server))
        return sorted(lines, key=lambda line: (line.server_id, line.account_policy_name, line.server_policy_id))


def _line(known: KnownServer, server: _Server) -> ServerLine:
    return ServerLine(
        server_policy_id=known.server_policy_id,
        server_id=known.server_id,
        account_policy_name=known.account_policy_name,
        state=known.state,
        period=server.period,
        strip=server.strip,
        last_at=server.last_at,
        next_expected_at=known.next_expected_at,
        schedule_problem=known.schedule_problem,
    )


def _urgency(line: ServerLine) -> tuple[int, int]:
    """Return the sort key: present trouble before past, and the worst first."""
    if line.is_wrong:
        return 0, WORST_FIRST.index(line.state)
    period = line.period
    return 1, 0 if period.unfinished else 1 if period.missed else 2 if period.failed else 3
