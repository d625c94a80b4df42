"""Ping keys in and out of the API, and the logs that their backups have sent."""

from __future__ import annotations

from copy import replace
from typing import Annotated, Self

from pydantic import Field

from backup_webhooks.api.models import Input, Model, Time
from backup_webhooks.api.report_models import Zone
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.events.messages import BackupStatus
from backup_webhooks.history.backup_output_store import BackupWithOutput
from backup_webhooks.sources.pings.keys import OWN_STORAGE, BackupPlan
from backup_webhooks.sources.pings.keys_store import MOST_PING_KEYS
from backup_webhooks.sources.pings.rules import PingKey, Signal

_LONGEST_SCHEDULE = 200


class PlanIn(Input):
    """When a script backs up: by a Quartz cron expression in a time zone, or so many hours after its last backup.

    One of the two; of a new key, UTC where no zone is given. In a change, what is left out stays as it is.
    """

    backup_schedule: Annotated[str, Field(max_length=_LONGEST_SCHEDULE, examples=["0 0 1 * * ?"])] | None = None
    backup_interval_hours: Annotated[int, Field(ge=1, le=8784, strict=True)] | None = None
    timezone: Zone | None = None

    def onto(self, known: BackupPlan | None) -> BackupPlan:
        """The plan with what is given. Raises `InvalidField` where that is none of the two, or both."""
        given = [self.backup_schedule, self.backup_interval_hours]
        if None not in given or (known is None and given == [None, None]):
            raise InvalidField("backupSchedule", "give one of backupSchedule and backupIntervalHours")
        timezone = self.timezone or (known.timezone if known else "UTC")
        if known and given == [None, None]:
            return replace(known, timezone=timezone)
        return BackupPlan(self.backup_schedule, self.backup_interval_hours, timezone)


class PingKeyIn(PlanIn):
    """A server policy that a script is to tell of. `storageRegion`: shown in the notice of a missed backup."""

    server_id: Annotated[str, Field(min_length=1, max_length=200, examples=["fileserver"])]
    account_policy_name: Annotated[str, Field(min_length=1, max_length=500, examples=["Nightly restic"])]
    storage_region: Annotated[str, Field(min_length=1, max_length=500)] = OWN_STORAGE


class PingKeyOut(Model):
    """A ping key, without the key. `lastPingAt`, `lastSignal`: null before the first ping."""

    ping_key_id: str
    server_id: str
    server_policy_id: str
    account_policy_name: str
    storage_region: str
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str
    created_at: Time
    last_ping_at: Time | None
    last_signal: Signal | None

    @classmethod
    def of(cls, key: PingKey, **more: str) -> Self:
        """The key as it is stored."""
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
    """A new ping key. `url`: what the script is to call, with the key in it; told this once."""

    url: str


class PingKeysOut(Model):
    """The account's ping keys, the oldest first, and how many there may be."""

    items: list[PingKeyOut]
    most_ping_keys: int = MOST_PING_KEYS


class OutputOut(Model):
    """The end of what a backup has said of itself, 4 KiB at most, behind a `…` where there was more."""

    status: BackupStatus
    started_at: Time
    finished_at: Time
    restore_point_id: str
    log: str

    @classmethod
    def of(cls, logged: BackupWithOutput) -> Self:
        """The log as it is kept."""
        return cls(
            status=logged.status,
            started_at=logged.started_at,
            finished_at=logged.finished_at,
            restore_point_id=logged.restore_point_id,
            log=str(logged.output),
        )


class OutputsOut(Model):
    """The latest logs of a server policy's backups, the newest first."""

    items: list[OutputOut]
