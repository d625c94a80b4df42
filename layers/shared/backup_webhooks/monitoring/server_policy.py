"""A server policy: a server under an account policy, its names and its schedule, as messages bring them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import ACTIVE, BackupFinished, BackupStarted, ServerPolicyChanged, judged
from backup_webhooks.monitoring.expectation import (
    LONGEST_RUN_LIMIT,
    SHORTEST_RUN_LIMIT,
    CronSchedule,
    IntervalSchedule,
    Schedule,
)
from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

# Raised by `ZoneInfo`. tzdata may drop a zone that is stored.
_UNKNOWN_ZONE = (KeyError, ValueError, OSError)
# The run limit where no schedule is known.
RUN_LIMIT_WITHOUT_SCHEDULE = timedelta(hours=24)
# missed_backups judges each minute, and messages may take minutes. Misses of shorter pauses would wait for each other.
SHORTEST_PAUSE = timedelta(minutes=5)
TOO_FREQUENT = "fires more often than every 5 minutes, which is the shortest pause that is watched"
# Quartz's years begin with 1970.
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


class PolicyIdentity(Struct, frozen=True):
    """The server, account policy and region of a server policy, as messages about backups name them."""

    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str

    @classmethod
    def of(cls, message: BackupStarted | BackupFinished) -> Self:
        """Return the identity that the message names."""
        return cls(
            server_id=message.server_id,
            account_policy_id=message.account_policy_id,
            account_policy_name=message.account_policy_name,
            storage_region=message.storage_region,
        )


class ServerPolicy(Struct, frozen=True):
    """A server policy as it is since `changed_at`, with the fields of `ServerPolicyChanged`.

    `sent_at`: when its message was sent; None: at `changed_at`. `is_believed`: False if the date in the message lay in
    the future; `changed_at` is then `sent_at`.
    """

    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    account_policy_status: str
    server_policy_status: str
    changed_at: datetime
    timezone: str
    backup_schedule: str | None = None
    backup_interval_hours: int | None = None
    longest_run_minutes: int | None = None
    good_backup_age_hours: int | None = None
    sent_at: datetime | None = None
    is_believed: bool = True

    @classmethod
    def of(cls, message: ServerPolicyChanged, sent_at: datetime | None = None) -> Self:
        """Return the policy in the message, sent then. Raise `InvalidMessage` for an unusable schedule."""
        changed_at = judged(message, sent_at).changed_date
        policy = cls(
            server_id=message.server_id,
            account_policy_id=message.account_policy_id,
            account_policy_name=message.name,
            storage_region=message.storage_region,
            account_policy_status=message.account_policy_status,
            server_policy_status=message.server_policy_status,
            changed_at=changed_at,
            backup_schedule=message.backup_schedule,
            backup_interval_hours=message.backup_interval_hours,
            longest_run_minutes=message.longest_run_minutes,
            good_backup_age_hours=message.good_backup_age_hours,
            timezone=message.timezone,
            sent_at=sent_at,
            is_believed=changed_at == message.changed_date,
        )
        policy._validate()
        return policy

    @property
    def order(self) -> tuple[bool, datetime, datetime]:
        """Return the value by which messages about the policy are ordered: the greatest one counts."""
        return self.is_believed, self.changed_at, self.sent_at or self.changed_at

    @property
    def active(self) -> bool:
        """Return whether both the account policy and the server policy are active."""
        return self.account_policy_status == self.server_policy_status == ACTIVE

    @property
    def schedule(self) -> Schedule | None:
        """Return the schedule, or None while the policy is not active, or if the schedule cannot be used any more."""
        if not self.active or self.schedule_problem:
            return None
        if self.backup_schedule is not None:
            return CronSchedule(_cron(self.backup_schedule, self.timezone))
        interval = timedelta(hours=self.backup_interval_hours or 0)
        return IntervalSchedule(interval, self._longest_run or _bounded(interval))

    @property
    def _longest_run(self) -> timedelta | None:
        return timedelta(minutes=self.longest_run_minutes) if self.longest_run_minutes else None

    def run_limit(self, started_at: datetime) -> timedelta:
        """Return how long a run that starts then may take before it is reported as unfinished."""
        if self._longest_run:
            return self._longest_run
        schedule = self.schedule
        return _bounded(schedule.pause_at(started_at)) if schedule else RUN_LIMIT_WITHOUT_SCHEDULE

    def stale_at(self, since: datetime) -> datetime | None:
        """Return when a last success of `since` is too old, or None if it never is."""
        schedule = self.schedule
        if schedule is None:
            return None
        if self.good_backup_age_hours:
            stale_at: datetime | None = since + timedelta(hours=self.good_backup_age_hours)
        else:
            stale_at = schedule.stale_at(since, self.run_limit)
        return stale_at if stale_at and schedule.next_start(stale_at) else None

    @property
    def schedule_problem(self) -> str | None:
        """Return why nothing is expected by the schedule, or None if its starts are expected.

        A stored schedule may have become unusable, and one that fires too often is not watched.
        """
        try:
            if self.backup_schedule is None:
                return None
            if _cron(self.backup_schedule, self.timezone).shortest_pause < SHORTEST_PAUSE:
                return f"schedule {self.backup_schedule}: {TOO_FREQUENT}"
        except InvalidSchedule as error:
            return f"schedule {self.backup_schedule}: {error}"
        except _UNKNOWN_ZONE:
            return f"the time zone {self.timezone} is no longer known"
        return None

    def _validate(self) -> None:
        if self.backup_schedule is None and self.backup_interval_hours is None:
            raise InvalidMessage("$.backupSchedule", "required, where backupIntervalHours is missing too")
        try:
            ZoneInfo(self.timezone)
        except _UNKNOWN_ZONE:
            raise InvalidMessage("$.timezone", "must be an IANA time zone, such as Europe/Berlin") from None
        if self.backup_schedule is None:
            return
        try:
            cron = _cron(self.backup_schedule, self.timezone)
        except InvalidSchedule as error:
            raise InvalidMessage("$.backupSchedule", str(error)) from None
        # A schedule that has ended is one that expects nothing more; it may be renamed or deactivated.
        if cron.next_after(_BEFORE_ALL) is None:
            raise InvalidMessage("$.backupSchedule", "never fires; it must name a date that exists")


def _bounded(pause: timedelta) -> timedelta:
    return min(max(pause, SHORTEST_RUN_LIMIT), LONGEST_RUN_LIMIT)


@lru_cache(maxsize=1024)
def _cron(expression: str, timezone: str) -> QuartzCron:
    return QuartzCron(expression, ZoneInfo(timezone))
