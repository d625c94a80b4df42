"""The stores and services that the routes use, made once per execution environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Self

from backup_webhooks.api.sign_in import SignIn, SignInSettings
from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.settings import Text, WholeNumber
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.deliveries.replays import Replays
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.settlements_store import SettlementsStore
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


class WebhooksApiSettings(SignInSettings, frozen=True, kw_only=True):
    """The settings of webhooks_api. `email_sender` is empty where the installation sends no e-mail."""

    webhooks_table: Text
    deliveries_table: Text
    server_policies_table: Text
    backups_table: Text
    ping_keys_table: Text
    backup_events_queue_url: Text
    retry_queue_url: Text
    delivery_retention_days: WholeNumber
    allow_private_targets: bool
    email_sender: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """The stores and services of the routes.

    `delivery_retention`: how long a delivery stays in the log. `sends_email`: whether this installation has a sender.
    """

    targets: TargetsStore
    deliveries: DeliveryLog
    delivery_retention: timedelta
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
    def of(cls, settings: WebhooksApiSettings, aws: Clients = clients) -> Self:
        """Return the services on the tables and queues that the settings name."""
        dynamodb = aws.dynamodb()
        log = DeliveryLog(dynamodb, settings.deliveries_table)
        retention = timedelta(days=settings.delivery_retention_days)
        return cls(
            targets=TargetsStore(dynamodb, settings.webhooks_table),
            deliveries=log,
            delivery_retention=retention,
            server_policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            backup_output=BackupOutputStore(dynamodb, settings.backups_table),
            ping_keys=PingKeys(
                PingKeysStore(dynamodb, settings.ping_keys_table),
                BackupEventsQueue(aws.sqs(), settings.backup_events_queue_url),
            ),
            report_settings=ReportSettingsStore(dynamodb, settings.webhooks_table),
            report_schedule=ReportScheduleStore(dynamodb, settings.webhooks_table),
            sends_email=bool(settings.email_sender),
            replays=Replays(
                log,
                SettlementsStore(DeliveriesStore(dynamodb, settings.deliveries_table, retention)),
                RetryQueue(aws.sqs(), settings.retry_queue_url),
            ),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            hosts=TargetHosts(settings.allow_private_targets),
            sign_in=SignIn(settings),
        )


@cache
def services() -> Services:
    """Return the services of this execution environment."""
    return Services.of(WebhooksApiSettings.from_env())
