"""The state of this machine that a function in a container can reach, prepared and checked by tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backup_webhooks.events.messages import EventType, parse_message
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.sources.aws_backup.store import AwsBackupStore, Reconciliation
from backup_webhooks.sources.pings.keys import PingKeys, PingSchedule
from backup_webhooks.sources.pings.keys_store import PingKeysStore

from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.mailbox import Mailbox
from local.messages import EVENTS, read
from local.receiver import Receiver
from local.stack import Stack
from local.targets import sample_target, save_target
from local.webhooks import targets_store
from tests.support.aws_backup import VOLUME, api_job, job_event, plan_answer
from tests.support.messages import finished
from tests.support.pings import taken_off
from tests.support.policies import LONG_AGO, at, changed, record

RECIPIENT = "ops@example.com"
UBUNTU = "d4c3b2a1-1f2e-4d3c-8b4a-5f6e7d8c9b03"


@dataclass(frozen=True)
class World:
    """An account TEST, and the services that its functions reach."""

    stack: Stack
    receiver: Receiver
    mailbox: Mailbox
    backup: AwsBackup

    @property
    def policies(self) -> ServerPoliciesStore:
        return ServerPoliciesStore(self.stack.client("dynamodb"), self.stack.outputs["ServerPoliciesTableName"])

    @property
    def heartbeats(self) -> WatermarkStore:
        return WatermarkStore(self.stack.client("dynamodb"), self.stack.outputs["ServerPoliciesTableName"])

    @property
    def backups(self) -> BackupsStore:
        return BackupsStore(self.stack.client("dynamodb"), self.stack.outputs["BackupsTableName"])

    def ping_key(self) -> str:
        """Return a new key of a server with a backup each night at 1:00. Its message is taken off the queue."""
        client, table = self.stack.client("dynamodb"), self.stack.outputs["PingKeysTableName"]
        queue = BackupEventsQueue(self.stack.client("sqs"), self.stack.outputs["BackupEventsQueueUrl"])
        schedule = PingSchedule("0 0 1 * * ?", None, "UTC")
        keys = PingKeys(PingKeysStore(client, table), queue)
        _, key = keys.make("TEST", "fileserver", "Nightly restic", "own storage", schedule, datetime.now(UTC))
        self.taken_off("BackupEventsQueue")
        return key

    def texts(self) -> dict[str, str]:
        """Return the texts that were posted, by path."""
        return {post.path: json.loads(post.body)["text"] for post in self.receiver.posts}

    def taken_off(self, queue: str) -> list[dict[str, Any]]:
        """Empty the queue of that name in the template, and return its messages."""
        return taken_off(self.stack, self.stack.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def nothing(world: World) -> None:
    """Leave the world empty."""


def targets(world: World) -> None:
    """Set a target for each event, at the receiver."""
    store = targets_store(world.stack)
    for event in EventType:
        save_target(store, sample_target("TEST", event, f"{world.receiver.url}/{event}"))


def a_schedule(world: World) -> None:
    """Record a daily policy at 17:00, since the evening of 20 December, of the server in the example events."""
    record(world.policies, changed("12-20 18:00", server_policy_id=UBUNTU))


def a_start_is_due(world: World) -> None:
    """Record a daily policy with a start that is due, and a watermark after it."""
    vouches = SeenHeartbeat(at("12-20 18:05"), at("12-20 18:06"))
    world.heartbeats.save_tick(Watermark(seen=(vouches,), ran_at=vouches.seen_at, resumed_at=LONG_AGO))
    record(world.policies, changed("12-20 09:00"))


def a_recipient(world: World) -> None:
    """Set a recipient of daily reports at 7:00 in Lisbon, and of notices of failures."""
    client, table = world.stack.client("dynamodb"), world.stack.outputs["WebhooksTableName"]
    settings = ReportSettingsStore(client, table, lambda: datetime(2026, 11, 25, tzinfo=UTC))
    settings.save("TEST", ReportSettings([Recipient(RECIPIENT, on_failure=True)], timezone="Europe/Lisbon"))
    world.heartbeats.record_read(datetime(2026, 11, 25, 7, 4, tzinfo=UTC))


def a_recipient_and_the_failure(world: World) -> None:
    """Set the recipient, and store the failure of events/email-notice.json."""
    a_recipient(world)
    (event,) = read(str(EVENTS / "email-notice.json"))
    _keep(world, event, datetime.now(UTC))


def a_recipient_and_a_failure_to_report(world: World) -> None:
    """Set the recipient, and store a failure in the night before the report."""
    a_recipient(world)
    night = {"backupStartedDate": "2026-11-25T01:00:00Z", "backupFinishedDate": "2026-11-25T01:39:38Z"}
    _keep(world, finished("TEST", **night), datetime(2026, 11, 25, 1, 40, tzinfo=UTC))


def _keep(world: World, body: str, recorded_at: datetime) -> None:
    message: Any = parse_message(body)
    world.backups.keep(Backup.of(message, recorded_at))


def an_aws_account(world: World) -> None:
    """Map the events' AWS account to TEST."""
    map_account(world.stack, "TEST")


def a_plan(world: World) -> None:
    """Make a plan of AWS Backup, daily at 05:00, for one volume."""
    an_aws_account(world)
    plan = plan_answer()
    world.backup.plans[plan["BackupPlanId"]] = plan
    world.backup.selections[plan["BackupPlanId"]] = [
        {"SelectionName": "servers", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": [VOLUME]}
    ]


def a_job_without_an_event(world: World) -> None:
    """Make a job that completed between the last reconciliation and that of events/aws-backup-reconcile.json."""
    an_aws_account(world)
    last = datetime(2026, 11, 25, 5, tzinfo=UTC)
    sources = AwsBackupStore(world.stack.client("dynamodb"), world.stack.outputs["SourcesTableName"])
    sources.save_reconciliation(Reconciliation(last, last))
    dates = {"creationDate": "2026-11-25T05:00:12.207Z", "completionDate": "2026-11-25T05:21:05.921Z"}
    world.backup.jobs = [api_job(job_event("COMPLETED", **dates))]
