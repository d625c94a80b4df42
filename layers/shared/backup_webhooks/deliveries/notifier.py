"""Tells customers of their backups: from a message to the posts that it calls for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self

from aws_lambda_powertools import Logger
from msgspec import Struct, field

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import NotifierSettings
from backup_webhooks.deliveries.attempt import Deliverer, Outcome
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import Delivery, Redelivery
from backup_webhooks.deliveries.grouping import Gatherer
from backup_webhooks.deliveries.groups_store import GatheringsStore
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.retry_queue import RedeliveryQueue
from backup_webhooks.deliveries.suppression import Instead, Wishes
from backup_webhooks.events.email_notices_queue import EmailNoticesQueue
from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupNotice,
    BackupRecovered,
    BackupStarted,
    Heartbeat,
    Notice,
    ServerPolicyChanged,
    WebhookEvent,
    parse_message,
)
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Clock, Moment, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backup_output_store import BackupLogsStore
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.streaks import Repetition
from backup_webhooks.monitoring.watermark_store import HeartbeatsStore
from backup_webhooks.posting.sender import Attempt
from backup_webhooks.targets.cache import WebhooksCache
from backup_webhooks.targets.preferences import Noise
from backup_webhooks.targets.target import Target
from backup_webhooks.targets.webhooks_store import WebhooksStore

# Ten messages of a batch with five targets each, all of them hanging, and two writes of each at the same time.
_THREADS = 70

logger = Logger(child=True)


class Notified(Struct, frozen=True):
    """What came of one message: the attempts that were made, how many deliveries were handed to the redeliverer in
    place of being attempted, how many held back or gathered as their targets want it, and whether nobody had asked to
    be told.
    """

    attempts: tuple[Attempt, ...] = ()
    handed_over: int = 0
    held_back: int = 0
    gathered: int = 0
    without_webhook: bool = False


class Notifier(Struct, frozen=True):
    """Handles messages, one call each. Shared by threads."""

    webhooks: WebhooksCache
    deliverer: Deliverer
    retry_queue: RedeliveryQueue
    gatherer: Gatherer
    wishes: Wishes
    reminders: Reminders
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
        deliverer = Deliverer.of(settings.delivery, webhooks)
        retry_queue = RedeliveryQueue(clients.sqs(), settings.delivery.retry_queue_url)
        gatherer = Gatherer(GatheringsStore(deliverer.deliveries), retry_queue)
        wishes = Wishes(deliverer.deliveries, gatherer)
        return cls(
            webhooks=webhooks,
            deliverer=deliverer,
            retry_queue=retry_queue,
            gatherer=gatherer,
            wishes=wishes,
            reminders=Reminders.of(retry_queue, wishes),
            recorder=Recorder(
                ServerPoliciesStore(dynamodb, settings.server_policies_table),
                BackupEventsQueue(clients.sqs(), settings.backup_events_queue_url),
            ),
            backups=BackupsStore(dynamodb, settings.backups_table),
            backup_logs=BackupLogsStore(dynamodb, settings.backups_table),
            heartbeats=HeartbeatsStore(dynamodb, settings.server_policies_table),
            email_notices=EmailNoticesQueue(clients.sqs(), settings.email_notices_queue_url),
        )

    def handle(self, body: str, deadline: datetime) -> Notified:
        """Do what the message calls for.

        Raises `InvalidMessage`, `TryAgain` and botocore's errors for a message that must come again or end in the
        dead letters.
        """
        match parse_message(body):
            case Heartbeat() as message:
                self.heartbeats.record_read(message.sent_date)
                return Notified()
            case BackupStarted() | ServerPolicyChanged() as message:
                self.recorder.record(message)
                return Notified()
            case BackupRecovered() as message:
                return self._notify(message, deadline, lambda: None)
            case BackupMissed() as message:
                repetition = _repetition_of(message)
                kept = self._threads.submit(self._keep, message)
                try:
                    return self._notify(message, deadline, lambda: repetition)
                finally:
                    kept.result()
            case BackupFinished() as message:
                # At the same time: the customer need not wait for our books, and none of these for another.
                kept = self._threads.submit(self._keep, message)
                recorded = self._threads.submit(self.recorder.record, message)
                try:
                    # But where he wants to hear of changes alone: the books know what is one.
                    return self._notify(message, deadline, lambda: _repetition_by(recorded, message))
                finally:
                    books: list[Future[Any]] = [kept, recorded]
                    _all_done(books)

    def _keep(self, notice: BackupNotice) -> None:
        """Of a miss this is all: missed_backups has noted the rest in its server policy."""
        now = self.clock()
        self.backups.keep(Backup.of(notice, Moment.of(now)))
        if isinstance(notice, BackupFinished):
            self.backup_logs.keep(notice, now)
        # After that: the e-mail's function notes there whom it has told.
        self.email_notices.pass_on(notice)

    def _notify(self, notice: Notice, deadline: datetime, repetition: Callable[[], Repetition | None]) -> Notified:
        event = notice.webhook_event
        if event is None:
            return Notified()
        targets = self.webhooks.targets(notice.account_alias, event)
        if not targets:
            logger.info("no webhook", extra={"account": notice.account_alias, "event": event})
            return Notified(without_webhook=True)
        # Each target is attempted before any failure of ours is raised, which makes the message come again.
        outcomes = _all_done(
            [self._threads.submit(self._deliver, notice, target, deadline, repetition) for target in targets]
        )
        return Notified(
            attempts=tuple(outcome.attempt for outcome in outcomes if isinstance(outcome, Outcome) and outcome.attempt),
            handed_over=outcomes.count(Instead.HANDED_OVER),
            held_back=outcomes.count(Instead.HELD_BACK),
            gathered=outcomes.count(Instead.GATHERED),
        )

    def _deliver(
        self, notice: Notice, target: Target, deadline: datetime, repetition: Callable[[], Repetition | None]
    ) -> Outcome | Instead:
        """Attempt the delivery, unless its target does not want it, or is one that fails: nobody waits for that."""
        order = Redelivery.first(Delivery.of(notice, target), self.clock())
        if target.noise == Noise():
            return self._attempt(order, target, deadline)
        known = repetition() if target.noise.changes_only else None
        # What a failing endpoint was told of last it may not have got, and so it is no repetition there.
        repetition_there = None if target.health.consecutive_failures else known
        instead = self.wishes.honour(notice, target, order.delivery, repetition_there)
        outcome = instead or self._attempt(order, target, deadline)
        # After that: a reminder can wait.
        self.reminders.note(notice, target, is_news=known is None)
        return outcome

    def _attempt(self, order: Redelivery, target: Target, deadline: datetime) -> Outcome | Instead:
        if target.health.isolated:
            self.retry_queue.send(order, self.clock())
            return Instead.HANDED_OVER
        outcome = self.deliverer.deliver(order, target, deadline)
        if outcome.then:
            self.retry_queue.send(outcome.then, self.clock())
        if outcome.state is DeliveryState.GATHERED:
            # The target does not want it gathered any more, since it was.
            self.gatherer.see_to(order.delivery)
        return outcome


def _repetition_by(recorded: Future[TrackedPolicy], message: BackupFinished) -> Repetition | None:
    try:
        return recorded.result().repetition(message)
    except Exception:
        if message.webhook_event is WebhookEvent.FAILURE:
            # Nobody is to miss word of a failure for our books, which will be kept when the message comes again.
            return None
        raise


def _repetition_of(message: BackupMissed) -> Repetition | None:
    since = message.missing_since_date
    return None if since in (None, message.expected_date) else Repetition(since)


def _all_done[R](futures: Sequence[Future[R]]) -> Sequence[R]:
    """What came of each; the first failure is raised once all are done."""
    if failures := [failure for future in futures if (failure := future.exception())]:
        raise failures[0]
    return [future.result() for future in futures]
