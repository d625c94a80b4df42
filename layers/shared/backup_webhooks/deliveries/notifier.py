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
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.suppression import Instead, Wishes
from backup_webhooks.events.email_notices_queue import EmailNoticesQueue
from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStarted,
    Event,
    EventType,
    Heartbeat,
    RecordedEvent,
    ServerPolicyChanged,
    parse_message,
)
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backup_output_store import BackupOutputStore
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.streaks import Repetition
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.preferences import Preferences
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

    attempts: tuple[AttemptResult, ...] = ()
    deferred: int = 0
    suppressed: int = 0
    grouped: int = 0
    without_webhook: bool = False


class Notifier(Struct, frozen=True):
    """Handles messages, one call each. Shared by threads."""

    webhooks: TargetsCache
    deliverer: Deliverer
    retry_queue: RetryQueue
    gatherer: Grouper
    wishes: Wishes
    reminders: Reminders
    recorder: Recorder
    backups: BackupsStore
    backup_output: BackupOutputStore
    heartbeats: WatermarkStore
    email_notices: EmailNoticesQueue
    clock: Clock = utc_now
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "delivery"))

    @classmethod
    def of(cls, settings: NotifierSettings) -> Self:
        """One on the tables that the settings name."""
        dynamodb = clients.dynamodb()
        webhooks = TargetsCache(WebhooksStore(dynamodb, settings.delivery.webhooks_table).of_account)
        deliverer = Deliverer.of(settings.delivery, webhooks)
        retry_queue = RetryQueue(clients.sqs(), settings.delivery.retry_queue_url)
        gatherer = Grouper(GroupsStore(deliverer.deliveries), retry_queue)
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
            backup_output=BackupOutputStore(dynamodb, settings.backups_table),
            heartbeats=WatermarkStore(dynamodb, settings.server_policies_table),
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

    def _keep(self, event: RecordedEvent) -> None:
        """Of a miss this is all: missed_backups has noted the rest in its server policy."""
        now = self.clock()
        self.backups.keep(Backup.of(event, Timestamp.of(now)))
        if isinstance(event, BackupFinished):
            self.backup_output.keep(event, now)
        # After that: the e-mail's function notes there whom it has told.
        self.email_notices.pass_on(event)

    def _notify(self, event: Event, deadline: datetime, repetition: Callable[[], Repetition | None]) -> Notified:
        event_type = event.event_type
        if event_type is None:
            return Notified()
        targets = self.webhooks.targets(event.account_alias, event_type)
        if not targets:
            logger.info("no webhook", extra={"account": event.account_alias, "event": event_type})
            return Notified(without_webhook=True)
        # Each target is attempted before any failure of ours is raised, which makes the message come again.
        outcomes = _all_done(
            [self._threads.submit(self._deliver, event, target, deadline, repetition) for target in targets]
        )
        return Notified(
            attempts=tuple(outcome.attempt for outcome in outcomes if isinstance(outcome, Outcome) and outcome.attempt),
            deferred=outcomes.count(Instead.DEFERRED),
            suppressed=outcomes.count(Instead.SUPPRESSED),
            grouped=outcomes.count(Instead.GROUPED),
        )

    def _deliver(
        self, event: Event, target: Target, deadline: datetime, repetition: Callable[[], Repetition | None]
    ) -> Outcome | Instead:
        """AttemptResult the delivery, unless its target does not want it, or is one that fails: nobody waits for that."""
        order = AttemptDue.first(Delivery.of(event, target), self.clock())
        if target.preferences == Preferences():
            return self._attempt(order, target, deadline)
        known = repetition() if target.preferences.changes_only else None
        # What a failing endpoint was told of last it may not have got, and so it is no repetition there.
        repetition_there = None if target.health.consecutive_failures else known
        instead = self.wishes.honour(event, target, order.delivery, repetition_there)
        outcome = instead or self._attempt(order, target, deadline)
        # After that: a reminder can wait.
        self.reminders.note(event, target, is_news=known is None)
        return outcome

    def _attempt(self, order: AttemptDue, target: Target, deadline: datetime) -> Outcome | Instead:
        if target.health.isolated:
            self.retry_queue.send(order, self.clock())
            return Instead.DEFERRED
        outcome = self.deliverer.deliver(order, target, deadline)
        if outcome.then:
            self.retry_queue.send(outcome.then, self.clock())
        if outcome.state is DeliveryState.GROUPED:
            # The target does not want it gathered any more, since it was.
            self.gatherer.see_to(order.delivery)
        return outcome


def _repetition_by(recorded: Future[TrackedPolicy], message: BackupFinished) -> Repetition | None:
    try:
        return recorded.result().repetition(message)
    except Exception:
        if message.event_type is EventType.FAILURE:
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
