"""Reads what a report is made of: an account's backups, its servers, and the webhooks that need attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import replace
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import DailyReportSettings
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.aggregate import KnownServer, Period, ReportAggregate
from backup_webhooks.reports.csv_attachment import BackupTable
from backup_webhooks.reports.email import Attachment
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.report import STRIP_DAYS, Report, WebhookLine
from backup_webhooks.targets.webhooks_store import WebhooksStore


@dataclass(frozen=True, slots=True)
class ReportQueries:
    """Reads, and writes nothing. Raises botocore's errors."""

    backups: BackupsStore
    server_policies: ServerPoliciesStore
    webhooks: WebhooksStore
    deliveries: DeliveryLog
    heartbeats: WatermarkStore

    @classmethod
    def of(cls, settings: DailyReportSettings) -> Self:
        """Those in the tables that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            backups=BackupsStore(dynamodb, settings.backups_table),
            server_policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            webhooks=WebhooksStore(dynamodb, settings.webhooks_table),
            deliveries=DeliveryLog(dynamodb, settings.deliveries_table),
            heartbeats=WatermarkStore(dynamodb, settings.server_policies_table),
        )

    def read_until(self) -> datetime | None:
        """Up to when the queue of backup events seems to have been read; None before its first heartbeat."""
        return self.heartbeats.load().newest_read

    def report(self, account: str, days: ReportDays, period: Period, now: datetime) -> tuple[Report, Attachment]:
        """The report, and the table of all its backups."""
        maker = ReportAggregate(period, days.before(period.end, STRIP_DAYS), days.ends(period.end, STRIP_DAYS))
        known = [KnownServer.of(tracked, now) for tracked in self.server_policies.of_account(account)]
        statuses = {one.server_policy_id: one.statuses for one in known if one.statuses}
        with BackupTable(statuses) as table:
            for backup in self.backups.between(account, maker.since, period.end):
                if maker.add(backup):
                    table.add(backup)
            attachment = table.attachment(f"backups-{period.end.astimezone(days.zone):%Y-%m-%d}")
        read_until = self.read_until()
        return replace(
            maker.report(account, days.zone, known),
            webhooks=list(self._webhooks(account, period)),
            read_until=read_until if read_until is None or read_until < period.end else None,
            table_complete=attachment.complete,
        ), attachment

    def _webhooks(self, account: str, period: Period) -> Iterator[WebhookLine]:
        undelivered = Counter(self.deliveries.given_up(account, period.start, period.end))
        for target in self.webhooks.of_account(account):
            health, count = target.health, undelivered[target.event_type, target.target_id]
            # One that its customer has switched off himself is left alone.
            if count or health.switched_off_at or (target.enabled and health.consecutive_failures):
                yield WebhookLine(
                    event_type=target.event_type,
                    url=target.url,
                    undelivered=count,
                    consecutive_failures=health.consecutive_failures,
                    failing_since=health.failing_since,
                    reason=health.switched_off_reason or health.last_reason,
                    switched_off_at=health.switched_off_at,
                    enabled=target.enabled,
                )
