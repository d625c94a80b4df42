"""Models of ping keys, and of the backup outputs that scripts have sent."""

from __future__ import annotations

from copy import replace
from typing import Annotated, Self

from pydantic import Field

from backup_webhooks.api.models import Input, Model, TimestampOut
from backup_webhooks.api.report_models import Zone
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.events.messages import BackupStatus
from backup_webhooks.history.backup_output_store import BackupWithOutput
from backup_webhooks.sources.pings.keys import OWN_STORAGE, PingSchedule
from backup_webhooks.sources.pings.keys_store import MOST_PING_KEYS
from backup_webhooks.sources.pings.rules import PingKey, Signal

_LONGEST_SCHEDULE = 200


class PingScheduleIn(Input):
    """A script's backup schedule: either a Quartz cron expression in a time zone, or hours after the last backup.

    A new key's time zone is UTC if none is given. In a change, fields that are left out stay as they are.
    """

    backup_schedule: Annotated[str, Field(max_length=_LONGEST_SCHEDULE, examples=["0 0 1 * * ?"])] | None = None
    backup_interval_hours: Annotated[int, Field(ge=1, le=8784, strict=True)] | None = None
    timezone: Zone | None = None

    def applied_to(self, stored: PingSchedule | None) -> PingSchedule:
        """Return the stored schedule with the given fields, or a new one. Raise `InvalidField` for both or neither."""
        given = [self.backup_schedule, self.backup_interval_hours]
        if None not in given or (stored is None and given == [None, None]):
            raise InvalidField("backupSchedule", "give one of backupSchedule and backupIntervalHours")
        timezone = self.timezone or (stored.timezone if stored else "UTC")
        if stored and given == [None, None]:
            return replace(stored, timezone=timezone)
        return PingSchedule(self.backup_schedule, self.backup_interval_hours, timezone)


class PingKeyIn(PingScheduleIn):
    """A server policy whose backups a script will report. `storageRegion`: shown when a backup is missed."""

    server_id: Annotated[str, Field(min_length=1, max_length=200, examples=["fileserver"])]
    account_policy_name: Annotated[str, Field(min_length=1, max_length=500, examples=["Nightly restic"])]
    storage_region: Annotated[str, Field(min_length=1, max_length=500)] = OWN_STORAGE


class PingKeyOut(Model):
    """A ping key without its secret. `lastPingAt`, `lastSignal`: null before the first ping."""

    ping_key_id: str
    server_id: str
    server_policy_id: str
    account_policy_name: str
    storage_region: str
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str
    created_at: TimestampOut
    last_ping_at: TimestampOut | None
    last_signal: Signal | None

    @classmethod
    def of(cls, key: PingKey, **more: str) -> Self:
        """Return the answer for a stored key. `more`: the fields of a subclass."""
        last = key.pings[-1] if key.pings else None
        return cls(
            ping_key_id=key.ping_key_id,
            server_id=key.server_id,
            server_policy_id=key.server_policy_id,
            account_policy_name=key.account_policy_name,
            storage_region=key.storage_region,
            backup_schedule=key.backup_schedule,
            backup_interval_hours=key.backup_interval_hours,
            timezone=key.timezone,
            created_at=key.created_at,
            last_ping_at=last.at if last else None,
            last_signal=last.signal if last else None,
            **more,
        )


class NewPingKey(PingKeyOut):
    """A new ping key. `url`: the URL that the script calls, with the secret in it; only this answer holds it."""

    url: str


class PingKeysOut(Model):
    """The account's ping keys, the oldest first, and the most that it may have."""

    items: list[PingKeyOut]
    most_ping_keys: int = MOST_PING_KEYS


class OutputOut(Model):
    """The backup output: the last 4 KiB at most, after a `…` if there was more."""

    status: BackupStatus
    started_at: TimestampOut
    finished_at: TimestampOut
    restore_point_id: str
    output: str

    @classmethod
    def of(cls, backup: BackupWithOutput) -> Self:
        """Return the answer for a stored backup."""
        return cls(
            status=backup.status,
            started_at=backup.started_at,
            finished_at=backup.finished_at,
            restore_point_id=backup.restore_point_id,
            output=str(backup.output),
        )


class OutputsOut(Model):
    """The latest backup outputs of a server policy, the newest first."""

    items: list[OutputOut]
