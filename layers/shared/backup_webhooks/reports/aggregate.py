"""Makes a report of an account's backups, taken one by one: which of them it tells, and what they add up to.

A report tells the backups that were recorded up to its cut, and after that of the report before it. One that ended in
its period but is recorded later belongs to the next report, as a late one: over any row of reports each is told once.
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
from backup_webhooks.reports.report import NOTHING, STRIP_DAYS, Report, ReportKind, ServerLine

_COUNTED = {
    BackupResult.SUCCESS: DayCounts(success=1),
    BackupResult.PARTIAL_SUCCESS: DayCounts(partial_success=1),
    BackupResult.FAILED: DayCounts(failed=1),
    BackupResult.MISSED: DayCounts(missed=1),
    BackupResult.CANCELLED: NOTHING,
}
_WORST_FIRST = [ServerState.MISSED, ServerState.FAILED, ServerState.PARTIAL]


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` to `end` (exclusive) that a report tells of; `before`: where the one before it began.

    `cut`: backups recorded later are left to the next report; `cut_before`: the last report's, None where there was
    none.
    """

    kind: ReportKind
    before: datetime
    start: datetime
    end: datetime
    cut: datetime
    cut_before: datetime | None

    def knows(self, backup: Backup) -> bool:
        """Whether the backup is of the report's time or an earlier one, and was recorded up to the cut."""
        return backup.recorded_at <= self.cut and backup.occurred_at < self.end

    def tells(self, backup: Backup) -> bool:
        """Whether the report counts a backup that it knows."""
        return backup.occurred_at >= self.start or self.is_late(backup)

    def is_late(self, backup: Backup) -> bool:
        """Whether the backup belongs to an earlier time, whose report could not know of it."""
        return backup.occurred_at < self.start and self.cut_before is not None and backup.recorded_at > self.cut_before


@dataclass(frozen=True, slots=True)
class KnownServer:
    """What a report says of a server policy beside its backups.

    `active`: None where no policy was heard of, but backups. `statuses`: the server policy's and the account policy's.
    """

    server_policy_id: str
    server_id: str
    account_policy_name: str
    state: ServerState = ServerState.UNKNOWN
    active: bool | None = None
    next_expected_at: datetime | None = None
    statuses: tuple[str, str] | None = None

    @classmethod
    def of(cls, tracked: TrackedPolicy, now: datetime) -> Self:
        """What is known now of a server policy of which something was heard."""
        policy, about = tracked.policy, tracked.server_backup
        assert about is not None  # noqa: S101 - found by its account, which comes with it
        return cls(
            server_policy_id=tracked.server_policy_id,
            server_id=about.server_id,
            account_policy_name=about.account_policy_name,
            state=server_state(tracked, now),
            active=tracked.schedule is not None if policy else None,
            next_expected_at=tracked.expected_at if tracked.schedule else None,
            statuses=(policy.server_policy_status, policy.account_policy_status) if policy else None,
        )


@dataclass(slots=True)
class _Server:
    """What the backups of one server policy come to."""

    server_id: str
    account_policy_name: str
    strip: list[DayCounts] = field(default_factory=lambda: [NOTHING] * STRIP_DAYS)
    period: DayCounts = NOTHING
    told: bool = False
    last_at: datetime | None = None


@dataclass(slots=True)
class ReportAggregate:
    """Takes an account's backups in the order of their time, those since `since`.

    `strip_ends`: when each of the last seven report days ended, the oldest first; `strip_start`: when that began.
    """

    period: Period
    strip_start: datetime
    strip_ends: Sequence[datetime]
    totals: DayCounts = NOTHING
    before: DayCounts = NOTHING
    cancelled: int = 0
    late: DayCounts = NOTHING
    late_cancelled: int = 0
    _servers: dict[str, _Server] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        """From when on backups are wanted."""
        return min(self.period.before, self.strip_start)

    def add(self, backup: Backup) -> bool:
        """Count the backup where it belongs; whether the report tells of it."""
        if not self.period.knows(backup):
            return False
        counted = _COUNTED[backup.result]
        server = self._servers.get(backup.server_policy_id)
        if server is None:
            server = _Server(backup.server_id, backup.account_policy_name)
            self._servers[backup.server_policy_id] = server
        if backup.occurred_at >= self.strip_start:
            server.last_at = backup.occurred_at
            server.strip[bisect_right(self.strip_ends, backup.occurred_at)] += counted
        if not self.period.tells(backup):
            if backup.occurred_at >= self.period.before:
                self.before += counted
            return False
        self.totals += counted
        self.cancelled += backup.result is BackupResult.CANCELLED
        if self.period.is_late(backup):
            self.late += counted
            self.late_cancelled += backup.result is BackupResult.CANCELLED
        server.period += counted
        server.told = True
        return True

    def report(self, account: str, zone: ZoneInfo, known: Iterable[KnownServer]) -> Report:
        """The report, once all backups were taken; `known` are the account's server policies."""
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
        lines, left = [], dict(self._servers)
        for one in known:
            server = left.pop(one.server_policy_id, None)
            # Nothing of servers that are inactive or gone, once there is nothing to tell of them.
            if one.active or (server and (server.told or one.active is None)):
                lines.append(_line(one, server or _Server(one.server_id, one.account_policy_name)))
        for policy_id, server in left.items():
            if server.told:
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
    )


def _urgency(line: ServerLine) -> tuple[int, int]:
    """What is wrong now comes before what was; what is missing before what failed before what failed in part."""
    if line.is_wrong:
        return 0, _WORST_FIRST.index(line.state)
    return 1, 0 if line.period.missed else 1 if line.period.failed else 2
