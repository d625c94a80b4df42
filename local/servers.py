"""The demo's servers: policies of each kind, and backups that follow them, or for once do not."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import parse_message
from backup_webhooks.history.backup import Backup
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.schedules.quartz import QuartzCron

if TYPE_CHECKING:
    from backup_webhooks.events.messages import BackupFinished, ServerPolicyChanged

ACCOUNT = "TEST"
# Of a month's backups; while one watches, more go wrong.
_SKIPPED, _SKIPPED_WHILE_WATCHED = 0.02, 0.1
_STATUSES = ("SUCCESS",) * 17 + ("PARTIAL_SUCCESS", "FAILED", "CANCELLED")


@dataclass
class DemoServer:
    """One server under one policy. `next_at`: when it will back up next; None if it will not."""

    server_id: str
    schedule: str | None = None
    interval_hours: int | None = None
    timezone: str = "UTC"
    active: bool = True
    next_at: datetime | None = None

    def changed(self, now: datetime) -> dict[str, Any]:
        """The policy's message, as of now, with which its backups begin."""
        if self.active:
            self.next_at = self._after(now)
        message = self._common() | {
            "type": "ServerPolicyChanged",
            "name": "Nightly" if self.schedule else "Continuous",
            "clcAccountAlias": ACCOUNT,
            "accountPolicyStatus": "ACTIVE",
            "serverPolicyStatus": "ACTIVE" if self.active else "INACTIVE",
            "changedDate": now.isoformat(),
            "backupSchedule": self.schedule,
            "backupIntervalHours": self.interval_hours,
            "timezone": self.timezone,
        }
        return {name: value for name, value in message.items() if value is not None}

    def backups_until(
        self, now: datetime, chance: random.Random, skipped: float = _SKIPPED_WHILE_WATCHED
    ) -> Iterator[dict[str, Any]]:
        """The messages of the backups that were due by now; of which that share does not take place."""
        while self.next_at is not None and self.next_at <= now:
            if chance.random() < skipped:
                self.next_at = self._after(self.next_at)
                continue
            finished = min(self.next_at + timedelta(minutes=chance.randint(2, 20)), now)
            yield from self.backup(self.next_at, finished, chance)
            self.next_at = self._after(finished)

    def past_month(self, now: datetime, chance: random.Random) -> tuple[TrackedPolicy, Sequence[Backup]]:
        """What is known of the policy after 30 days of such backups, and of some that did not take place; and they."""
        backups: list[Backup] = []
        timestamp = now - timedelta(days=30)
        told = parse_message(json.dumps(self.changed(timestamp)))
        known = TrackedPolicy(str(self._common()["serverPolicyId"])).after(cast("ServerPolicyChanged", told))
        while timestamp < now:
            timestamp = min(timestamp + timedelta(hours=1), now)
            for backup in self.backups_until(timestamp, chance, _SKIPPED):
                message = cast("BackupFinished", parse_message(json.dumps(backup)))
                known = known.after(message)
                if backup["type"] == "BackupFinished":
                    backups.append(Backup.of(message, message.backup_finished_date))
            while known.missed(timestamp):
                backups.append(Backup.of(known.miss(), timestamp))
                known = known.after_miss(timestamp - timedelta(days=1))
        return known, backups

    def backup(self, started: datetime, finished: datetime, chance: random.Random) -> Iterator[dict[str, Any]]:
        """The messages of one backup."""
        message = self._common() | {
            "type": "BackupStarted",
            "accountAlias": ACCOUNT,
            "accountPolicyName": "Nightly" if self.schedule else "Continuous",
            "backupStartedDate": started.isoformat(),
        }
        yield message
        yield message | {
            "type": "BackupFinished",
            "restorePointId": str(uuid.UUID(int=chance.getrandbits(128))),
            "restorePointCreationStatus": chance.choice(_STATUSES),
            "backupFinishedDate": finished.isoformat(),
        }

    def _after(self, timestamp: datetime) -> datetime | None:
        if self.schedule:
            return QuartzCron(self.schedule, ZoneInfo(self.timezone)).next_after(timestamp)
        return timestamp + timedelta(hours=self.interval_hours or 0)

    def _common(self) -> dict[str, Any]:
        return {
            "serverId": self.server_id,
            "serverPolicyId": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.server_id)),
            "accountPolicyId": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.schedule or "interval")),
            "storageRegion": "US WEST",
        }


def demo_servers() -> list[DemoServer]:
    """Schedules and intervals, and one server whose policy is inactive: silent, and not missed."""
    return [
        DemoServer("IL1TESTWEB01", schedule="0 0 1 * * ?", timezone="America/Chicago"),
        DemoServer("IL1TESTDB01", interval_hours=6),
        DemoServer("CA3TESTMAIL", schedule="0 30 0/4 * * ?"),
        DemoServer("GB3TESTFILES", schedule="0 0 22 ? * MON-FRI", timezone="Europe/London"),
        DemoServer("VA1TESTBUILD", schedule="0 0 3 * * ?", active=False),
    ]
