"""A report: the values from which its HTML, its plain text and its subject are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState

STRIP_DAYS = 7
NO_BACKUPS = DayCounts()
# The states of trouble.
WORST_FIRST = (
    ServerState.UNFINISHED,
    ServerState.MISSED,
    ServerState.STALE,
    ServerState.FAILED,
    ServerState.PARTIAL,
)


class ReportKind(StrEnum):
    """How often a report is sent, and so how long its period is."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class ServerLine:
    """A server policy in a report.

    `state`: its present state. `period`: the results of its backups in the report's period. `strip`: the last seven
    report days, the oldest first. `last_at`: the latest end of a backup, or missed start, in those days.
    `schedule_problem`: why its schedule cannot be used any more, if so.
    """

    server_policy_id: str
    server_id: str
    account_policy_name: str
    state: ServerState
    period: DayCounts
    strip: Sequence[DayCounts]
    last_at: datetime | None = None
    next_expected_at: datetime | None = None
    schedule_problem: str | None = None

    @property
    def went_wrong(self) -> bool:
        """Whether a backup of the period failed, in part or wholly, was missed or is unfinished."""
        period = self.period
        return bool(period.failed or period.partial_success or period.missed or period.unfinished)

    @property
    def is_wrong(self) -> bool:
        """Whether the present state is one of trouble."""
        return self.state in WORST_FIRST


@dataclass(frozen=True, slots=True)
class WebhookLine:
    """A target that needs attention: it fails now, was switched off, or did not get all deliveries of the period.

    `url` may hold a secret, so a report shows only its host. `undelivered`: deliveries that were given up in the
    period. `enabled`: False if this service, or the customer, has switched the target off.
    """

    event_types: Sequence[EventType]
    url: str = field(repr=False)
    undelivered: int = 0
    consecutive_failures: int = 0
    failing_since: datetime | None = None
    reason: str | None = None
    switched_off_at: datetime | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """An account's report on the time from `start` to `end` (exclusive), both in UTC, to be shown in `zone`.

    `totals` and `cancelled` count the backups of this report, `before` those of the period before. `late` and
    `late_cancelled`: those of an earlier period that were recorded too late for its report. `attention`: the servers
    that need it, the worst first; `servers`: all that are active or had a backup, by name. `strip_ends`: when each of
    the strips' days ended. `read_until`: set if the backup events are read only up to then, before the period's end.
    `attachment_complete`: whether the attachment has all backups of this report, not only those that did not succeed.
    """

    kind: ReportKind
    account: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    totals: DayCounts
    before: DayCounts
    strip_ends: Sequence[datetime]
    cancelled: int = 0
    late: DayCounts = NO_BACKUPS
    late_cancelled: int = 0
    attention: Sequence[ServerLine] = ()
    servers: Sequence[ServerLine] = ()
    webhooks: Sequence[WebhookLine] = ()
    read_until: datetime | None = None
    attachment_complete: bool = True

    @property
    def ended(self) -> int:
        """How many backups ended in the period, with any result."""
        return _ended(self.totals) + self.cancelled - _ended(self.late) - self.late_cancelled

    @property
    def missed(self) -> int:
        """How many backups of the period were missed."""
        return self.totals.missed - self.late.missed


def _ended(results: DayCounts) -> int:
    return results.success + results.partial_success + results.failed
