"""Tells customers of their backups: from a message to the posts that it calls for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from aws_lambda_powertools import Logger

from backup_webhooks import clients
from backup_webhooks.backups import Backup
from backup_webhooks.deliverer import Deliverer, Outcome
from backup_webhooks.delivery import Delivery, Redelivery
from backup_webhooks.messages import (
    BackupFinished,
    BackupMissed,
    BackupStarted,
    Heartbeat,
    Notice,
    ServerPolicyChanged,
    parse_message,
)
from backup_webhooks.moments import Clock, Moment, utc_now
from backup_webhooks.recorder import Recorder
from backup_webhooks.redelivery_queue import RedeliveryQueue
from backup_webhooks.reports.notices_queue import EmailNoticesQueue
from backup_webhooks.sender import Attempt
from backup_webhooks.settings import NotifierSettings
from backup_webhooks.stores.backup_logs import BackupLogsStore
from backup_webhooks.stores.backups import BackupsStore
from backup_webhooks.stores.heartbeats import HeartbeatsStore
from backup_webhooks.stores.server_policies import ServerPoliciesStore
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.targets import Target
from backup_webhooks.webhooks_cache import WebhooksCache

# Ten messages of a batch with five targets each, all of them hanging, and two writes of each at the same time.
_THREADS = 70

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Notified:
    """What came of one message: the attempts that were made, how many deliveries were handed to the redeliverer in
    place of being attempted, and whether nobody had asked to be told.
    """

    attempts: tuple[Attempt, ...] = ()
    handed_over: int = 0
    without_webhook: bool = False


@dataclass(frozen=True, slots=True)
class Notifier:
    """Handles messages, one call each. Shared by threads."""

    webhooks: WebhooksCache
    deliverer: Deliverer
    retry_queue: RedeliveryQueue
    recorder: Recorder
    backups: BackupsStore
    backup_logs: BackupLogsStore
    heartbeats: HeartbeatsStore
    email_notices: EmailNoticesQueue
    clock: Clock = utc_now
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "delivery"))

    @classmethod
    def of(cls, settings: NotifierSettings) -> Self:
        """One on the tables that the settings name."""
        dynamodb = clients.dynamodb()
        webhooks = WebhooksCache(WebhooksStore(dynamodb, settings.delivery.webhooks_table).of_account)
        return cls(
            webhooks=webhooks,
            deliverer=Deliverer.of(settings.delivery, webhooks),
            retry_queue=RedeliveryQueue(clients.sqs(), settings.delivery.retry_queue_url),
            recorder=Recorder(ServerPoliciesStore(dynamodb, settings.server_policies_table)),
            backups=BackupsStore(dynamodb, settings.backups_table),
            backup_logs=BackupLogsStore(dynamodb, settings.backups_table),
            heartbeats=HeartbeatsStore(dynamodb, settings.server_policies_table),
            email_notices=EmailNoticesQueue(clients.sqs(), settings.email_notices_queue_url),
        )

    def handle(self, body: str, deadline: datetime) -> Notified:
        """Do what the message calls for.

        Raises `InvalidMessage`, `Postponed` and botocore's errors for a message that must come again or end in the
        dead letters.
        """
        match parse_message(body):
            case Heartbeat() as message:
                self.heartbeats.record_read(message.sent_date)
                return Notified()
            case BackupStarted() | ServerPolicyChanged() as message:
                self.recorder.record(message)
                return Notified()
            case BackupFinished() | BackupMissed() as message:
                # At the same time: the customer need not wait for our books, and none of these for another.
                books = [self._threads.submit(self._keep, message)]
                if isinstance(message, BackupFinished):
                    books.append(self._threads.submit(self.recorder.record, message))
                try:
                    return self._notify(message, deadline)
                finally:
                    _all_done(books)

    def _keep(self, notice: Notice) -> None:
        """Of a miss this is all: missed_backups has noted the rest in its server policy."""
        now = self.clock()
        self.backups.keep(Backup.of(notice, Moment.of(now)))
        if isinstance(notice, BackupFinished):
            self.backup_logs.keep(notice, now)
        # After that: the e-mail's function notes there whom it has told.
        self.email_notices.pass_on(notice)

    def _notify(self, notice: Notice, deadline: datetime) -> Notified:
        event = notice.webhook_event
        if event is None:
            return Notified()
        targets = self.webhooks.targets(notice.account_alias, event)
        if not targets:
            logger.info("no webhook", extra={"account": notice.account_alias, "event": event})
            return Notified(without_webhook=True)
        # Each target is attempted before any failure of ours is raised, which makes the message come again.
        outcomes = _all_done([self._threads.submit(self._deliver, notice, target, deadline) for target in targets])
        return Notified(
            attempts=tuple(outcome.attempt for outcome in outcomes if outcome and outcome.attempt),
            handed_over=outcomes.count(None),
        )

    def _deliver(self, notice: Notice, target: Target, deadline: datetime) -> Outcome | None:
        """Attempt the delivery, or, None, leave it to the redeliverer: nobody here waits for a target that fails."""
        order = Redelivery.first(Delivery.of(notice, target), self.clock())
        if target.health.isolated:
            self.retry_queue.send(order, self.clock())
            return None
        outcome = self.deliverer.deliver(order, target, deadline)
        if outcome.then:
            self.retry_queue.send(outcome.then, self.clock())
        return outcome


def _all_done[R](futures: Sequence[Future[R]]) -> Sequence[R]:
    """What came of each; the first failure is raised once all are done."""
    if failures := [failure for future in futures if (failure := future.exception())]:
        raise failures[0]
    return [future.result() for future in futures]
