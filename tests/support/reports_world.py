"""Reports over days in seconds: real tables, a real SES API over HTTP, virtual time."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import Watermark
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.reports.account_reports import AccountReports, Sent
from backup_webhooks.reports.due_reports import DueReports, parse_account_report
from backup_webhooks.reports.mailer import Mailer
from backup_webhooks.reports.queries import ReportQueries
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.schedule_store import ReportScheduleStore
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target
from botocore.config import Config

from local.mailbox import Mail, Mailbox
from local.stack import CREDENTIALS, Stack
from local.targets import save_target

TICK = timedelta(minutes=5)
PAGE = "https://page.example/"
DAILY, WEEKLY, NONE = ReportFrequency.DAILY, ReportFrequency.WEEKLY, ReportFrequency.NONE


@dataclass
class FakeWatermarkStore:
    """The watermark of a queue that is read at once, unless it stands still."""

    world: ReportsWorld
    stands_still_since: datetime | None = None

    def load(self) -> Watermark:
        return Watermark(read=frozenset([self.stands_still_since or self.world.now]))


@dataclass
class ReportsWorld:
    """One account's reports. `now` is the time of every clock."""

    stack: Stack
    mailbox: Mailbox
    now: datetime
    queue_url: str
    account: str = field(default_factory=lambda: f"T{uuid.uuid4().hex[:8].upper()}")

    def __post_init__(self) -> None:
        outputs, client = self.stack.outputs, self.stack.client("dynamodb")
        self.watermark_store = FakeWatermarkStore(self)
        self.pauses: list[float] = []
        self.backups = BackupsStore(client, outputs["BackupsTableName"])
        self.policies = ServerPoliciesStore(client, outputs["ServerPoliciesTableName"])
        self.targets = TargetsStore(client, outputs["WebhooksTableName"])
        self.schedule = ReportScheduleStore(client, outputs["WebhooksTableName"])
        self.settings = ReportSettingsStore(client, outputs["WebhooksTableName"], lambda: self.now)
        self.queries = ReportQueries(
            backups=self.backups,
            server_policies=self.policies,
            targets=self.targets,
            deliveries=DeliveryLog(client, outputs["DeliveriesTableName"]),
            watermark_store=self.watermark_store,  # type: ignore[arg-type]
        )
        self.ses: Any = boto3.client(
            "sesv2",
            endpoint_url=self.mailbox.url,
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.due_reports = DueReports(
            self.schedule,
            self.watermark_store,  # type: ignore[arg-type]
            self.stack.client("sqs"),
            self.queue_url,
            lambda: self.now,
        )

    @property
    def account_reports(self) -> AccountReports:
        """The function in a new execution environment."""
        mailer = Mailer(self.ses, "backups@example.com", PAGE, self.pauses.append)
        return AccountReports(self.schedule, self.queries, mailer, lambda: self.now)

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
        target = Target(self.account, EventType.FAILURE, url, **settings)
        save_target(TargetsStore(self.targets.client, self.targets.table), target)
        return target

    def deliver(self, target: Target, occurred_at: datetime, attempted_at: datetime) -> None:
        """Record a delivery whose last retry failed at `attempted_at`."""
        log = DeliveriesStore(self.targets.client, self.stack.outputs["DeliveriesTableName"], timedelta(days=30))
        delivery = Delivery(
            account=self.account,
            event_type=target.event_type,
            target_id=target.target_id,
            occurred_at=Timestamp.of(occurred_at),
            subject_id="rp-1",
            body="{}",
        )
        order = AttemptDue.first(delivery, attempted_at)
        claim = log.claim(order, target, now=attempted_at, until=attempted_at + timedelta(seconds=30))
        assert isinstance(claim, Claim)
        log.record(claim, AttemptResult(503, "answered 503", b"", 10), DeliveryState.EXHAUSTED, None)

    def tick(self) -> list[Sent]:
        """Let the schedule fire, and the function handle the account's messages on the queue."""
        self.due_reports.tick(self.now, self.now + timedelta(minutes=5))
        return [self.send(body) for body in self.messages()]

    def send(self, body: str) -> Sent:
        return self.account_reports.send(body, self.now + timedelta(minutes=5))

    def messages(self) -> Iterator[str]:
        """Take all messages off the queue, also those of other tests, and yield those of the account."""
        sqs = self.stack.client("sqs")
        while got := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                if parse_account_report(message["Body"]).account == self.account:
                    yield message["Body"]

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

    def mails(self, name: str) -> list[Mail]:
        return self.mailbox.of(self.address(name))

    def restore_points(self, name: str) -> list[list[str]]:
        """Return, for each report that the recipient got, the restore points in its attachment."""
        return [[row["Restore Point Id"] for row in rows(mail)] for mail in self.mails(name)]


def rows(mail: Mail) -> list[dict[str, str]]:
    """Return the rows of the attached CSV."""
    (content,) = mail.attachments.values()
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
