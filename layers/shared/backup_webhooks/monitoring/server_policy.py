"""A server policy: a server under an account policy, its names and its schedule, as messages bring them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import ACTIVE, BackupFinished, BackupStarted, ServerPolicyChanged
from backup_webhooks.monitoring.expectation import CronSchedule, IntervalSchedule, Schedule
from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

# Raised by `ZoneInfo`. tzdata may drop a zone that is stored.
_UNKNOWN_ZONE = (KeyError, ValueError, OSError)
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
    """A server policy as it is since `changed_at`, with the fields of `ServerPolicyChanged`."""

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

    @classmethod
    def of(cls, message: ServerPolicyChanged) -> Self:
        """Return the policy in the message. Raise `InvalidMessage` for an unusable schedule."""
        policy = cls(
            server_id=message.server_id,
            account_policy_id=message.account_policy_id,
            account_policy_name=message.name,
            storage_region=message.storage_region,
            account_policy_status=message.account_policy_status,
            server_policy_status=message.server_policy_status,
            changed_at=message.changed_date,
            backup_schedule=message.backup_schedule,
            backup_interval_hours=message.backup_interval_hours,
            timezone=message.timezone,
        )
        policy._validate()
        return policy

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
        return IntervalSchedule(timedelta(hours=self.backup_interval_hours or 0))

    @property
    def schedule_problem(self) -> str | None:
        """Return why the stored schedule cannot be used, though it could once; None if it can."""
        try:
            if self.backup_schedule is not None:
                _cron(self.backup_schedule, self.timezone)
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


@lru_cache(maxsize=1024)
def _cron(expression: str, timezone: str) -> QuartzCron:
    return QuartzCron(expression, ZoneInfo(timezone))
