"""Reads for a report an account's backups, its servers, and the webhooks that need attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import replace
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.aggregate import KnownServer, Period, ReportAggregate
from backup_webhooks.reports.csv_attachment import BackupsCsv
from backup_webhooks.reports.due_reports import DailyReportSettings
from backup_webhooks.reports.email import Attachment
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.report import STRIP_DAYS, Report, WebhookLine
from backup_webhooks.targets.store import TargetsStore


@dataclass(frozen=True, slots=True)
class ReportQueries:
    """Reads, and writes nothing. Its methods raise botocore's errors."""

    backups: BackupsStore
    server_policies: ServerPoliciesStore
    targets: TargetsStore
    deliveries: DeliveryLog
    watermark_store: WatermarkStore

    @classmethod
    def of(cls, settings: DailyReportSettings, aws: Clients = clients) -> Self:
        """Return the queries on the tables that the settings name."""
        dynamodb = aws.dynamodb()
        return cls(
            backups=BackupsStore(dynamodb, settings.backups_table),
            server_policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            targets=TargetsStore(dynamodb, settings.webhooks_table),
            deliveries=DeliveryLog(dynamodb, settings.deliveries_table),
            watermark_store=WatermarkStore(dynamodb, settings.server_policies_table),
        )

    def read_until(self) -> datetime | None:
        """Return up to when BackupEventsQueue is known to be read, or None before its first heartbeat."""
        return self.watermark_store.load().newest_read

    def report(self, account: str, days: ReportDays, period: Period, now: datetime) -> tuple[Report, Attachment]:
        """Return the report, and the CSV of its backups."""
        aggregate = ReportAggregate(period, days.before(period.end, STRIP_DAYS), days.ends(period.end, STRIP_DAYS))
        known = [KnownServer.of(tracked, now) for tracked in self.server_policies.of_account(account)]
        statuses = {policy.server_policy_id: policy.statuses for policy in known if policy.statuses}
        with BackupsCsv(statuses) as backups_csv:
            for backup in self.backups.between(account, aggregate.since, period.end):
                if aggregate.add(backup):
                    backups_csv.add(backup)
            attachment = backups_csv.attachment(f"backups-{period.end.astimezone(days.zone):%Y-%m-%d}")
        read_until = self.read_until()
        return replace(
            aggregate.report(account, days.zone, known),
            webhooks=list(self._webhooks(account, period)),
            read_until=read_until if read_until is None or read_until < period.end else None,
            attachment_complete=attachment.complete,
        ), attachment

    def _webhooks(self, account: str, period: Period) -> Iterator[WebhookLine]:
        undelivered = Counter(self.deliveries.given_up(account, period.start, period.end))
        for target in self.targets.load(account).targets:
            health, count = target.health, undelivered[target.target_id]
            # A target that the customer has switched off is listed only if it missed deliveries.
            if count or health.switched_off_at or (target.enabled and health.consecutive_failures):
                yield WebhookLine(
                    event_types=target.event_types,
                    url=target.url,
                    undelivered=count,
                    consecutive_failures=health.consecutive_failures,
                    failing_since=health.failing_since,
                    reason=health.switched_off_reason or health.last_reason,
                    switched_off_at=health.switched_off_at,
                    enabled=target.enabled,
                )
