"""What the routes work with, made once an execution environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Self

from backup_webhooks import clients
from backup_webhooks.api.sign_in import SignIn
from backup_webhooks.backup_events_queue import BackupEventsQueue
from backup_webhooks.ping_keys import PingKeys
from backup_webhooks.redelivery_queue import RedeliveryQueue
from backup_webhooks.replays import Replays
from backup_webhooks.sender import Sender
from backup_webhooks.settings import WebhooksApiSettings
from backup_webhooks.stores.backup_logs import BackupLogsStore
from backup_webhooks.stores.configurations import ConfigurationsStore
from backup_webhooks.stores.delivery_log import DeliveryLog
from backup_webhooks.stores.ping_keys import PingKeysStore
from backup_webhooks.stores.report_schedule import ReportScheduleStore
from backup_webhooks.stores.report_settings import ReportSettingsStore
from backup_webhooks.stores.server_policies import ServerPoliciesStore
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.target_hosts import TargetHosts


@dataclass(frozen=True, slots=True)
class Services:
    """The stores, and what posts, replays, handles ping keys, judges hosts and signs in. `log_kept`: how far back the
    log goes; `sends_email`: whether this installation has a sender."""

    configurations: ConfigurationsStore
    webhooks: WebhooksStore
    deliveries: DeliveryLog
    log_kept: timedelta
    server_policies: ServerPoliciesStore
    backup_logs: BackupLogsStore
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
            configurations=ConfigurationsStore(dynamodb, settings.webhooks_table),
            webhooks=WebhooksStore(dynamodb, settings.webhooks_table),
            deliveries=log,
            log_kept=settings.delivery_retention,
            server_policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            backup_logs=BackupLogsStore(dynamodb, settings.backups_table),
            ping_keys=PingKeys(
                PingKeysStore(dynamodb, settings.ping_keys_table),
                BackupEventsQueue(clients.sqs(), settings.backup_events_queue_url),
            ),
            report_settings=ReportSettingsStore(dynamodb, settings.webhooks_table),
            report_schedule=ReportScheduleStore(dynamodb, settings.webhooks_table),
            sends_email=settings.sends_email,
            replays=Replays(log, RedeliveryQueue(clients.sqs(), settings.retry_queue_url)),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            hosts=TargetHosts(settings.allow_private_targets),
            sign_in=SignIn(settings.sign_in),
        )


@cache
def services() -> Services:
    """The services of this execution environment."""
    return Services.of(WebhooksApiSettings.from_env())
