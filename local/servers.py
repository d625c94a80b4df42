"""The demo's servers: policies of each kind, and backups that follow them, except for a random few."""

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
# The share of backups that do not start: in the past month, and while the demo runs.
_SKIPPED, _SKIPPED_LIVE = 0.02, 0.1
_STATUSES = ("SUCCESS",) * 17 + ("PARTIAL_SUCCESS", "FAILED", "CANCELLED")


@dataclass
class DemoServer:
    """A server under one policy. `next_at`: the start of its next backup, or None if there is none."""

    server_id: str
    schedule: str | None = None
    interval_hours: int | None = None
    timezone: str = "UTC"
    active: bool = True
    next_at: datetime | None = None

    def changed(self, now: datetime) -> dict[str, Any]:
        """Return the message of the changed policy, and start its backups."""
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
        self, now: datetime, rng: random.Random, skipped: float = _SKIPPED_LIVE
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages of the backups that were due by now. `skipped`: the share that does not start."""
        while self.next_at is not None and self.next_at <= now:
            if rng.random() < skipped:
                self.next_at = self._after(self.next_at)
                continue
            finished = min(self.next_at + timedelta(minutes=rng.randint(2, 20)), now)
            yield from self.backup(self.next_at, finished, rng)
            self.next_at = self._after(finished)

    def past_month(self, now: datetime, rng: random.Random) -> tuple[TrackedPolicy, Sequence[Backup]]:
        """Return the tracked policy after 30 days, and its backups and what missed_backups would have found."""
        backups: list[Backup] = []
        timestamp = now - timedelta(days=30)
        changed = cast("ServerPolicyChanged", parse_message(json.dumps(self.changed(timestamp))))
        tracked = TrackedPolicy(ACCOUNT, str(self._common()["serverPolicyId"])).after(changed)
        while timestamp < now:
            timestamp = min(timestamp + timedelta(hours=1), now)
            for backup in self.backups_until(timestamp, rng, _SKIPPED):
                message = cast("BackupFinished", parse_message(json.dumps(backup)))
                tracked = tracked.after(message)
                if backup["type"] == "BackupFinished":
                    backups.append(Backup.of(message, message.backup_finished_date))
            while report := tracked.report_due(timestamp):
                backups.append(Backup.of(report.event, timestamp))
                tracked = tracked.after_report(report.event, timestamp - timedelta(days=1))
        return tracked.judged_anew(), backups

    def backup(self, started: datetime, finished: datetime, rng: random.Random) -> Iterator[dict[str, Any]]:
        """Yield the messages of one backup."""
        message = self._common() | {
            "type": "BackupStarted",
            "accountAlias": ACCOUNT,
            "accountPolicyName": "Nightly" if self.schedule else "Continuous",
            "backupStartedDate": started.isoformat(),
        }
        yield message
        yield message | {
            "type": "BackupFinished",
            "restorePointId": str(uuid.UUID(int=rng.getrandbits(128))),
            "restorePointCreationStatus": rng.choice(_STATUSES),
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
    """Return servers with schedules and intervals, and one with an inactive policy, whose backups are not missed."""
    return [
        DemoServer("IL1TESTWEB01", schedule="0 0 1 * * ?", timezone="America/Chicago"),
        DemoServer("IL1TESTDB01", interval_hours=6),
        DemoServer("CA3TESTMAIL", schedule="0 30 0/4 * * ?"),
        DemoServer("GB3TESTFILES", schedule="0 0 22 ? * MON-FRI", timezone="Europe/London"),
        DemoServer("VA1TESTBUILD", schedule="0 0 3 * * ?", active=False),
    ]
