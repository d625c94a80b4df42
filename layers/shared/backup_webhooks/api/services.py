"""What the routes work with, made once an execution environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Self

from backup_webhooks.api.sign_in import SignIn
from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import WebhooksApiSettings
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.deliveries.replays import Replays
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.history.backup_output_store import BackupOutputStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.posting.sender import Sender
from backup_webhooks.reports.schedule_store import ReportScheduleStore
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.sources.pings.keys import PingKeys
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.targets.hosts import TargetHosts
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.webhooks_store import WebhooksStore


@dataclass(frozen=True, slots=True)
class Services:
    """The stores, and what posts, replays, handles ping keys, judges hosts and signs in. `log_kept`: how far back the
    log goes; `sends_email`: whether this installation has a sender."""

    configurations: TargetsStore
    webhooks: WebhooksStore
    deliveries: DeliveryLog
    log_kept: timedelta
    server_policies: ServerPoliciesStore
    backup_output: BackupOutputStore
    ping_keys: PingKeys
    report_settings: ReportSettingsStore
    report_schedule: ReportScheduleStore
    sends_email: bool
    replays: Replays
    sender: Sender
    hosts: TargetHosts
    sign_in: SignIn

    @classmethod
    def of(cls, settings: WebhooksApiSettings) -> Self:
        """Those on the tables and the queue that the settings name."""
        dynamodb = clients.dynamodb()
        log = DeliveryLog(dynamodb, settings.deliveries_table)
        return cls(
            configurations=TargetsStore(dynamodb, settings.webhooks_table),
            webhooks=WebhooksStore(dynamodb, settings.webhooks_table),
            deliveries=log,
            log_kept=settings.delivery_retention,
            server_policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            backup_output=BackupOutputStore(dynamodb, settings.backups_table),
            ping_keys=PingKeys(
                PingKeysStore(dynamodb, settings.ping_keys_table),
                BackupEventsQueue(clients.sqs(), settings.backup_events_queue_url),
            ),
            report_settings=ReportSettingsStore(dynamodb, settings.webhooks_table),
            report_schedule=ReportScheduleStore(dynamodb, settings.webhooks_table),
            sends_email=settings.sends_email,
            replays=Replays(log, RetryQueue(clients.sqs(), settings.retry_queue_url)),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            hosts=TargetHosts(settings.allow_private_targets),
            sign_in=SignIn(settings.sign_in),
        )


@cache
def services() -> Services:
    """The services of this execution environment."""
    return Services.of(WebhooksApiSettings.from_env())
