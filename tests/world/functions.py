"""The functions of a world: each made by its own `of` from the world's settings, on the world's AWS and clock."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from backup_webhooks.api.services import Services, WebhooksApiSettings
from backup_webhooks.deliveries.attempt import Deliverer
from backup_webhooks.deliveries.notifier import Notifier, NotifierSettings
from backup_webhooks.deliveries.redeliverer import Redeliverer, RedelivererSettings
from backup_webhooks.monitoring.detector import Detector, DetectorSettings
from backup_webhooks.posting.sender import AttemptResult, Sender
from backup_webhooks.reports.account_reports import AccountReports
from backup_webhooks.reports.due_reports import DailyReportSettings, DueReports
from backup_webhooks.reports.email_notices import EmailNotices, EmailNoticesSettings
from backup_webhooks.sources.aws_backup.job_publisher import AwsJobPublisher
from backup_webhooks.sources.aws_backup.plan_publisher import AwsPlanPublisher
from backup_webhooks.sources.aws_backup.settings import AwsBackupSettings
from backup_webhooks.sources.pings.requests import Pings, PingSettings
from msgspec.structs import replace

from tests.world.aws import Aws
from tests.world.boundary import Boundary, Fault, Request
from tests.world.history import History
from tests.world.threads import InThisThread, SoonerOrLater

POST = Request("endpoint", "POST")
# The variables of all functions. Tables and queues have their names in the template.
ENVIRONMENT: Mapping[str, str] = {
    "WEBHOOKS_TABLE": "WebhooksTable",
    "SERVER_POLICIES_TABLE": "ServerPoliciesTable",
    "DELIVERIES_TABLE": "DeliveriesTable",
    "BACKUPS_TABLE": "BackupsTable",
    "PING_KEYS_TABLE": "PingKeysTable",
    "SOURCES_TABLE": "SourcesTable",
    "BACKUP_EVENTS_QUEUE_URL": "BackupEventsQueue",
    "RETRY_QUEUE_URL": "RetryQueue",
    "RETRY_DEAD_LETTER_QUEUE_URL": "RetryDeadLetterQueue",
    "REPORTS_QUEUE_URL": "ReportsQueue",
    # Most worlds send no e-mail: EMAILS adds that.
    "EMAIL_NOTICES_QUEUE_URL": "",
    "EMAIL_SENDER": "backups@example.com",
    "PAGE_URL": "https://page.example/",
    "DELIVERY_RETENTION_DAYS": "30",
    "BACKUP_RETENTION_DAYS": "60",
    "ALLOW_PRIVATE_TARGETS": "true",
    # Three steps of the deployed schedule.
    "RETRY_DELAYS_SECONDS": "5,300,1800",
    "HEARTBEAT_GRACE_SECONDS": "420",
    "JWT_ISSUER": "http://127.0.0.1:9",
    "JWT_AUDIENCE": "webhooks",
    "SIGN_IN_CLIENT_ID": "page",
    "SIGN_IN_TOKEN": "access_token",
    "ACCOUNT_CLAIM": "account_alias",
}
EMAILS = {"EMAIL_NOTICES_QUEUE_URL": "EmailNoticesQueue"}


class WatchedSender(Sender):
    """A POST crosses the boundary too: a function may be killed before and after it."""

    def __init__(self, boundary: Boundary, history: History) -> None:
        super().__init__(allow_private_targets=True)
        self._boundary, self._history = boundary, history

    def post(self, url: str, body: bytes, headers: Any) -> AttemptResult:
        fault = self._boundary.cross(POST, f"POST {len(self._history.happenings)}")
        self._history.on_post(headers["webhook-id"])
        result = super().post(url, body, headers)
        if fault is Fault.KILLED_AFTER:
            self._boundary.kill()
        return result


@dataclass
class Functions:
    """One execution environment of each function, made at its first use. All randomness comes from `chance`."""

    aws: Aws
    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    wait: Callable[[timedelta], None]
    sender: Callable[[], Sender]
    chance: random.Random

    @cached_property
    def notifier(self) -> Notifier:
        notifier = Notifier.of(NotifierSettings.from_env(self.environment), self.aws, self.clock)
        deliverer = self._watched(notifier.deliverer)
        return replace(notifier, deliverer=deliverer, _threads=SoonerOrLater(self.chance))

    @cached_property
    def redeliverer(self) -> Redeliverer:
        redeliverer = Redeliverer.of(RedelivererSettings.from_env(self.environment), self.aws, self.clock)
        return replace(redeliverer, deliverer=self._watched(redeliverer.deliverer))

    def _watched(self, deliverer: Deliverer) -> Deliverer:
        schedule = copy.replace(deliverer.schedule, chance=self.chance)
        return replace(
            deliverer,
            sender=self.sender(),
            schedule=schedule,
            sleep=lambda seconds: self.wait(timedelta(seconds=seconds)),
        )

    @cached_property
    def missed_backups(self) -> Detector:
        detector = Detector.of(DetectorSettings.from_env(self.environment), self.aws, self.clock)
        return replace(detector, _threads=InThisThread())

    @cached_property
    def ping(self) -> Pings:
        return Pings.of(PingSettings.from_env(self.environment), self.aws)

    @cached_property
    def aws_jobs(self) -> AwsJobPublisher:
        return AwsJobPublisher.of(AwsBackupSettings.from_env(self.environment), self.aws, self.clock)

    @cached_property
    def aws_plans(self) -> AwsPlanPublisher:
        return AwsPlanPublisher.of(AwsBackupSettings.from_env(self.environment), self.aws, self.clock)

    @cached_property
    def due_reports(self) -> DueReports:
        return DueReports.of(DailyReportSettings.from_env(self.environment), self.aws, self.clock)

    @cached_property
    def account_reports(self) -> AccountReports:
        return self._unhurried(AccountReports.of(DailyReportSettings.from_env(self.environment), self.aws, self.clock))

    @cached_property
    def email_notices(self) -> EmailNotices:
        return self._unhurried(EmailNotices.of(EmailNoticesSettings.from_env(self.environment), self.aws, self.clock))

    def _unhurried[F: (AccountReports, EmailNotices)](self, function: F) -> F:
        """Return the function with its pauses between calls of SES on the world's clock."""
        mailer = copy.replace(function.mailer, sleep=lambda seconds: self.wait(timedelta(seconds=seconds)))
        return copy.replace(function, mailer=mailer)

    @cached_property
    def api(self) -> Services:
        services = Services.of(WebhooksApiSettings.from_env(self.environment), self.aws)
        return copy.replace(services, replays=replace(services.replays, clock=self.clock))
