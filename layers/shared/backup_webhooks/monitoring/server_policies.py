"""Server policies: one server under one account policy, its schedule, and what its backups have done about it.

Pure: how each message changes what is known, in any order of arrival (design section 6).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import (
    ACTIVE,
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStarted,
    BackupStatus,
    EventType,
    ServerPolicyChanged,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.daily_counts import MISSED, OF_STATUS, DailyCounts, counted
from backup_webhooks.monitoring.expectation import (
    TOLERANCE,
    CronSchedule,
    Expectation,
    History,
    IntervalSchedule,
    Schedule,
    expectation,
    reported,
    rescheduled,
)
from backup_webhooks.monitoring.streaks import Repetition, Streaks
from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

type PolicyMessage = BackupStarted | BackupFinished | ServerPolicyChanged
"""The messages that change what is known of a server policy."""


class ServerBackup(Struct, frozen=True):
    """Whose backups they are: what each message about one says."""

    account: str
    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str

    @classmethod
    def of(cls, message: BackupStarted | BackupFinished) -> ServerBackup:
        """What the message says."""
        return ServerBackup(
            account=message.account_alias,
            server_id=message.server_id,
            account_policy_id=message.account_policy_id,
            account_policy_name=message.account_policy_name,
            storage_region=message.storage_region,
        )


class ServerPolicy(Struct, frozen=True):
    """A server policy as it is since `changed_at`; the fields of `ServerPolicyChanged`."""

    account: str
    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    account_policy_status: str
    server_policy_status: str
    changed_at: datetime
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str

    @classmethod
    def of(cls, message: ServerPolicyChanged) -> Self:
        """The policy that the message tells of; `InvalidMessage` if its schedule can't be kept."""
        policy = cls(
            account=message.clc_account_alias,
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
    def schedule(self) -> Schedule | None:
        """When backups are expected; None while the account policy or the server policy is not active."""
        if not self.account_policy_status == self.server_policy_status == ACTIVE:
            return None
        if self.backup_schedule is not None:
            return CronSchedule(_cron(self.backup_schedule, self.timezone))
        return IntervalSchedule(timedelta(hours=self.backup_interval_hours or 0))

    def _validate(self) -> None:
        if self.backup_schedule is None and self.backup_interval_hours is None:
            raise InvalidMessage("$.backupSchedule", "required, where backupIntervalHours is missing too")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise InvalidMessage("$.timezone", "must be an IANA time zone, such as Europe/Berlin") from None
        if self.backup_schedule is None:
            return
        try:
            cron = _cron(self.backup_schedule, self.timezone)
        except InvalidSchedule as error:
            raise InvalidMessage("$.backupSchedule", str(error)) from None
        if cron.next_after(self.changed_at) is None:
            raise InvalidMessage("$.backupSchedule", "never fires after changedDate; it must have a time to come")


@lru_cache(maxsize=1024)
def _cron(expression: str, timezone: str) -> QuartzCron:
    return QuartzCron(expression, ZoneInfo(timezone))


class TrackedPolicy(Struct, frozen=True):
    """All that is known of a server policy.

    `policy` is None while only backups of it were heard of; `heard_of` is then what the first of them said, and None
    otherwise. `expected_at` is the next scheduled start that no backup has answered yet, `last_missed_at` the newest
    that was told as missed. `days`: the results of late, and `streaks` what they have in common; `forgotten_until` the
    latest end that has left the history, up to which nobody can say whether an end that comes was counted before, and
    so none is. `revision` counts the changes, so that two writers can't undo each other's.
    """

    server_policy_id: str
    policy: ServerPolicy | None = None
    history: History = field(default_factory=History)
    expected_at: datetime | None = None
    last_missed_at: datetime | None = None
    days: DailyCounts = field(default_factory=dict)
    streaks: Streaks = field(default_factory=Streaks)
    forgotten_until: datetime | None = None
    heard_of: ServerBackup | None = None
    revision: int = 0

    @property
    def server_backup(self) -> ServerPolicy | ServerBackup | None:
        """Whose backups they are; None while nothing was heard of it."""
        return self.policy or self.heard_of

    @property
    def schedule(self) -> Schedule | None:
        """The policy's schedule, if there is one to keep."""
        return self.policy.schedule if self.policy else None

    def after(self, message: PolicyMessage) -> Self:
        """What is known after the message; an equal value if it tells nothing new, or something older."""
        match message:
            case BackupStarted():
                return self._heard(message)._settled(self.policy, self.history.with_start(message.backup_started_date))
            case BackupFinished():
                return self._heard(message)._finished(message)
            case ServerPolicyChanged():
                return self._changed(ServerPolicy.of(message))

    def _heard(self, message: BackupStarted | BackupFinished) -> Self:
        return self if self.policy or self.heard_of else replace(self, heard_of=ServerBackup.of(message))

    def _finished(self, message: BackupFinished) -> Self:
        finished_at = message.backup_finished_date
        # That it was initiated is known from its end too, should the start's own message be lost or late.
        history = self.history.with_start(message.backup_started_date)
        status = message.restore_point_creation_status
        settled = self._settled(self.policy, history.with_finish(finished_at, str(status)))
        if finished_at in self.history.finishes or (self.forgotten_until and finished_at <= self.forgotten_until):
            return settled
        forgotten = finished_at not in settled.history.finishes
        return replace(
            settled,
            days=counted(self.days, finished_at, OF_STATUS[status]),
            streaks=self._streaks_after(message),
            forgotten_until=_latest(settled.forgotten_until, finished_at if forgotten else None),
        )

    def _streaks_after(self, message: BackupFinished) -> Streaks:
        at, event_type = message.backup_finished_date, message.event_type
        if message.restore_point_creation_status is BackupStatus.SUCCESS:
            return self.streaks.with_success(at)
        return self.streaks.with_trouble(event_type, at) if event_type else self.streaks

    def recovery(self, message: PolicyMessage) -> BackupRecovered | None:
        """The message that tells that this one, which is known of here, has ended failures and misses; None where it
        has not. The same whenever it is asked, until the next recovery.
        """
        recovery = self.streaks.recovery
        if not isinstance(message, BackupFinished) or recovery is None:
            return None
        is_success = message.restore_point_creation_status is BackupStatus.SUCCESS
        if not is_success or message.backup_finished_date != recovery.at:
            return None
        failed, missed = (recovery.of_event.get(event_type) for event_type in (EventType.FAILURE, EventType.MISSING))
        since = [*([failed.since] if failed else []), *([missed.since - TOLERANCE] if missed else [])]
        return BackupRecovered(
            account_alias=message.account_alias,
            server_id=message.server_id,
            server_policy_id=message.server_policy_id,
            account_policy_id=message.account_policy_id,
            account_policy_name=message.account_policy_name,
            storage_region=message.storage_region,
            restore_point_id=message.restore_point_id,
            backup_finished_date=message.backup_finished_date,
            failing_since_date=Timestamp.of(min(since)),
            failed=failed.count if failed else 0,
            missed=missed.count if missed else 0,
        )

    def repetition(self, message: BackupFinished) -> Repetition | None:
        """Whether the message, which is known of here, repeats what is known since; None where it is news."""
        at, event_type = message.backup_finished_date, message.event_type
        if event_type is EventType.SUCCESS:
            return None if at == self.streaks.changed_at else Repetition(self.streaks.changed_at)
        streak = self.streaks.of_event.get(event_type) if event_type else None
        return Repetition(streak.since) if streak and at > streak.since else None

    def _changed(self, policy: ServerPolicy) -> Self:
        if self.policy and policy.changed_at <= self.policy.changed_at:
            return self
        known = replace(self, heard_of=None)
        if policy.schedule is None:
            # Whatever is missed once it is active again is news.
            known = replace(known, streaks=known.streaks.without(EventType.MISSING))
        if policy.schedule == self.schedule:
            return known._settled(policy, self.history)
        return known._settled(policy, rescheduled(self.schedule, self.history, policy.changed_at))

    def _settled(self, policy: ServerPolicy | None, history: History) -> Self:
        return self._expecting(policy, expectation(policy.schedule if policy else None, history))

    def _expecting(self, policy: ServerPolicy | None, expected: Expectation) -> Self:
        forgotten = set(self.history.finishes).difference(expected.history.finishes)
        return replace(
            self,
            policy=policy,
            history=expected.history,
            expected_at=expected.expected_at,
            forgotten_until=_latest(self.forgotten_until, *forgotten),
        )

    @property
    def deadline(self) -> datetime | None:
        """Until when (inclusive) a start answers the expected one."""
        return self.expected_at and self.expected_at + TOLERANCE

    def missed(self, as_of: datetime) -> bool:
        """Whether the expected start was missed, for one who knows of all starts up to `as_of`."""
        return self.deadline is not None and self.deadline < as_of

    def after_miss(self, resumed_at: datetime) -> Self:
        """What is known once the miss of `expected_at` is told; `resumed_at` as in `missed.reported`."""
        told = self._expecting(
            self.policy, reported(self.schedule, Expectation(self.history, self.expected_at), resumed_at)
        )
        if self.expected_at is None:
            return told
        return replace(
            told,
            last_missed_at=self.expected_at,
            days=counted(self.days, self.expected_at, MISSED),
            streaks=self._streaks_after_miss,
        )

    @property
    def _streaks_after_miss(self) -> Streaks:
        # At its deadline: a backup that ends before that, of a run begun too early to answer it, is no success since.
        return self.streaks.with_trouble(EventType.MISSING, self.deadline) if self.deadline else self.streaks

    def miss(self) -> BackupMissed:
        """The message that tells of the miss of `expected_at`."""
        if self.policy is None or self.expected_at is None:
            raise ValueError("nothing is expected, so nothing was missed")
        streak = self._streaks_after_miss.of_event.get(EventType.MISSING)
        if streak and self.expected_at < streak.since - TOLERANCE:
            streak = None  # It began later: this one is news.
        return BackupMissed(
            account_alias=self.policy.account,
            server_id=self.policy.server_id,
            server_policy_id=self.server_policy_id,
            account_policy_id=self.policy.account_policy_id,
            account_policy_name=self.policy.account_policy_name,
            storage_region=self.policy.storage_region,
            expected_date=Timestamp.of(self.expected_at),
            missing_since_date=Timestamp.of(streak.since - TOLERANCE) if streak else None,
        )


def _latest(*timestamps: datetime | None) -> datetime | None:
    return max((timestamp for timestamp in timestamps if timestamp), default=None)
