"""An account's reports over days in seconds."""

from __future__ import annotations

import copy
import csv
import io
import uuid
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.reports.account_reports import AccountReports, Sent
from backup_webhooks.reports.due_reports import parse_account_report
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.schedule_store import ReportScheduleStore
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target

from local.mailbox import Mail, Mailbox
from local.targets import save_target
from tests.world.world import REPORTS, World

TICK = timedelta(minutes=5)
DAILY, WEEKLY, NONE = ReportFrequency.DAILY, ReportFrequency.WEEKLY, ReportFrequency.NONE


class ReportsAccount:
    """An account of the test's own, the stores of what is reported of it, and its mail. `now`: the settings' clock."""

    def __init__(self, client: Any, mailbox: Mailbox, now: datetime) -> None:
        self.mailbox, self.now = mailbox, now
        self.account = f"T{uuid.uuid4().hex[:8].upper()}"
        self.backups = BackupsStore(client, "BackupsTable")
        self.policies = ServerPoliciesStore(client, "ServerPoliciesTable")
        self.targets = TargetsStore(client, "WebhooksTable")
        self.settings = ReportSettingsStore(client, "WebhooksTable", lambda: self.now)

    def address(self, name: str) -> str:
        """Return an address that no other test has."""
        return f"{name}@{self.account.lower()}.example"

    def set(self, *recipients: tuple[str, ReportFrequency], hour: int = 7, timezone: str = "UTC") -> None:
        wanted = [Recipient(self.address(name), report) for name, report in recipients]
        self.settings.save(self.account, ReportSettings(wanted, hour, timezone))

    def end(
        self, timestamp: datetime, result: str = "SUCCESS", recorded: datetime | None = None, **changes: Any
    ) -> str:
        """Keep a backup that ends then, and return its restore point."""
        restore_point = str(uuid.uuid4())
        fields = {
            "server_id": "SERVER",
            "server_policy_id": f"sp-{self.account}",
            "account_policy_id": "ap-1",
            "account_policy_name": "Nightly",
            "storage_region": "US WEST",
        } | changes
        self.backups.keep(
            Backup(
                account=self.account,
                result=BackupResult(result),
                occurred_at=timestamp,
                recorded_at=recorded or timestamp,
                started_at=timestamp - timedelta(minutes=30),
                restore_point_id=restore_point,
                **fields,
            )
        )
        return restore_point

    def target(self, url: str, **settings: Any) -> Target:
        """Save a target for failures, and return it."""
        target = Target(self.account, [EventType.FAILURE], url, **settings)
        save_target(TargetsStore(self.targets.client, self.targets.table), target)
        return target

    def deliver(self, target: Target, occurred_at: datetime, attempted_at: datetime) -> None:
        """Record a delivery whose last retry failed at `attempted_at`."""
        log = DeliveriesStore(self.targets.client, "DeliveriesTable", timedelta(days=30))
        delivery = Delivery(
            account=self.account,
            event_type=target.event_types[0],
            target_id=target.target_id,
            occurred_at=Timestamp.of(occurred_at),
            subject_id="rp-1",
            body="{}",
        )
        order = AttemptDue.first(delivery, attempted_at)
        claim = log.claim(order, target, now=attempted_at, until=attempted_at + timedelta(seconds=30))
        assert isinstance(claim, Claim)
        log.record(claim, AttemptResult(503, "answered 503", b"", 10), DeliveryState.EXHAUSTED, None)

    def mails(self, name: str) -> list[Mail]:
        return self.mailbox.of(self.address(name))

    def restore_points(self, name: str) -> list[list[str]]:
        """Return, for each report that the recipient got, the restore points in its attachment."""
        return [[row["Restore Point Id"] for row in rows(mail)] for mail in self.mails(name)]


class ReportsWorld(ReportsAccount):
    """The account's reports in a world. `schedule` is that of the functions.

    `read_until`: the sending time of the newest heartbeat that was read; None: all are read at once. `pauses`: those
    that the functions made between two calls of SES.
    """

    def __init__(self, world: World, now: datetime) -> None:
        self.world, world.now = world, now
        super().__init__(world.aws.dynamodb(), world.aws.mailbox, now)
        self.schedule = ReportScheduleStore(world.aws.dynamodb(), "WebhooksTable")
        self.read_until: datetime | None = None
        self.pauses: list[float] = []

    @property
    def now(self) -> datetime:  # type: ignore[override]
        return self.world.now

    @now.setter
    def now(self, now: datetime) -> None:
        self.world.now = now

    @property
    def account_reports(self) -> AccountReports:
        """Return the function in a new execution environment."""
        reports = self.world.new_functions().account_reports
        return copy.replace(
            reports, schedule=self.schedule, mailer=copy.replace(reports.mailer, sleep=self.pauses.append)
        )

    def find_due(self) -> None:
        """Let the schedule fire, which puts the accounts that are due on the queue."""
        self._read_heartbeats()
        self.world.functions.due_reports.tick(self.now, self.now + timedelta(minutes=5))

    def tick(self) -> list[Sent]:
        """Let the schedule fire, and the function handle the account's messages on the queue."""
        self.find_due()
        return [self.send(body) for body in self.messages()]

    def send(self, body: str) -> Sent:
        self._read_heartbeats()
        return self.account_reports.send(body, self.now + timedelta(minutes=5))

    def _read_heartbeats(self) -> None:
        timestamp = self.read_until or self.now
        store = WatermarkStore(self.world.aws.dynamodb(), "ServerPoliciesTable")
        store.save_tick(Watermark(seen=(SeenHeartbeat(timestamp, timestamp),)))

    def messages(self) -> list[str]:
        """Take all messages off the queue, and return those of the account."""
        queue = self.world.queues[REPORTS]
        bodies, queue.messages = queue.bodies, []
        return [body for body in bodies if parse_account_report(body).account == self.account]

    def run_until(self, end: datetime) -> None:
        """Let the schedule fire every five minutes around the times at which something may be due."""
        while self.now < end:
            self.now += TICK
            _, progress = self.schedule.load(self.account)
            if progress.due_at is None or progress.due_at >= end:
                self.now = end
            elif progress.due_at > self.now:
                # Nothing happens before. The result is the time of a tick.
                self.now = max(self.now, progress.due_at - TICK)
            else:
                self.tick()


def rows(mail: Mail) -> list[dict[str, str]]:
    """Return the rows of the attached CSV."""
    (content,) = mail.attachments.values()
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
