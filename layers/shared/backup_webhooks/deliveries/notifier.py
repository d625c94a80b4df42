"""The notifier: handles each message of BackupEventsQueue, and delivers its event to the targets that name it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Self, cast

from aws_lambda_powertools import Logger
from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.settings import Text, WholeNumber
from backup_webhooks.deliveries.attempt import DEFERRED, Deliverer, DeliverySettings, Outcome
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.sent_store import SentStore
from backup_webhooks.deliveries.suppression import Suppression
from backup_webhooks.events.email_notices_queue import EmailNoticesQueue
from backup_webhooks.events.messages import (
    AccountChanged,
    BackupFinished,
    BackupIdentity,
    BackupMissed,
    BackupRecovered,
    BackupStarted,
    BackupUnfinished,
    Event,
    EventType,
    Heartbeat,
    RecordedEvent,
    ServerPolicyChanged,
    judged,
    parse_leniently,
)
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backup_output_store import BackupOutputStore
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.streaks import Place
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import MOST_TARGETS, Target

# Ten messages of a batch with five targets each, all of them hanging, and two records of each at the same time. An
# event may have 25 targets: an attempt that waits longer for a thread is left to the redeliverer.
_THREADS = 70
_LONGEST_WAIT = timedelta(seconds=5)

logger = Logger(child=True)


class NotifierSettings(DeliverySettings, frozen=True, kw_only=True):
    """The notifier's settings. `email_notices_queue_url` is empty where the installation sends no e-mail."""

    backups_table: Text
    backup_retention_days: WholeNumber
    backup_events_queue_url: Text
    email_notices_queue_url: str = ""


class Handled(Struct, frozen=True):
    """The outcomes for the targets of a message's event, or None without one.

    `date_ahead`: whether a date was not believed. `unusable_facts`: the number of optional facts that were left out.
    """

    outcomes: Sequence[Outcome] | None
    date_ahead: bool
    unusable_facts: int


class Notifier(Struct, frozen=True):
    """Handles messages, one call each. Shared by threads."""

    targets: TargetsCache
    targets_store: TargetsStore
    deliverer: Deliverer
    retry_queue: RetryQueue
    grouper: Grouper
    suppression: Suppression
    reminders: Reminders
    recorder: Recorder
    backups: BackupsStore
    backup_output: BackupOutputStore
    watermark_store: WatermarkStore
    email_notices: EmailNoticesQueue
    clock: Clock = utc_now
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "delivery"))

    @classmethod
    def of(cls, settings: NotifierSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return a notifier that uses the tables and queues of the settings."""
        dynamodb, sqs = aws.dynamodb(), aws.sqs()
        targets_store = TargetsStore(dynamodb, settings.webhooks_table)
        targets = TargetsCache(targets_store.load, lambda: clock().timestamp())
        retry_queue = RetryQueue(sqs, settings.retry_queue_url)
        # A first attempt has retries before it.
        deliverer = Deliverer.of(settings, targets, {DeliveryState.RETRYING: retry_queue}, aws, clock)
        grouper = Grouper(GroupsStore(deliverer.deliveries), retry_queue, clock)
        suppression = Suppression(deliverer.deliveries, SentStore(deliverer.deliveries), grouper, clock)
        return cls(
            targets=targets,
            targets_store=targets_store,
            deliverer=deliverer,
            retry_queue=retry_queue,
            grouper=grouper,
            suppression=suppression,
            reminders=Reminders.of(retry_queue, suppression, clock),
            recorder=Recorder(
                ServerPoliciesStore(dynamodb, settings.server_policies_table),
                BackupEventsQueue(sqs, settings.backup_events_queue_url),
            ),
            backups=BackupsStore(dynamodb, settings.backups_table, timedelta(days=settings.backup_retention_days)),
            backup_output=BackupOutputStore(dynamodb, settings.backups_table),
            watermark_store=WatermarkStore(dynamodb, settings.server_policies_table),
            email_notices=EmailNoticesQueue(sqs, settings.email_notices_queue_url),
            clock=clock,
        )

    def handle(self, body: str, deadline: datetime, sent_at: datetime | None = None) -> Handled:
        """Handle a message. `sent_at`: as in `Recorder.record`.

        Raise `InvalidMessage`, `TryAgain` and botocore's errors for a message that SQS must deliver again, or move to
        the dead-letter queue.
        """
        message, unusable = parse_leniently(body)
        if unusable:
            account = cast("BackupIdentity", message).account_alias
            logger.warning("unusable facts left out", extra={"account": account, "fields": unusable})
        believed = judged(message, sent_at)
        outcomes: Sequence[Outcome] | None = None
        match message:
            case Heartbeat():
                self.watermark_store.record_read(message.sent_date)
            case BackupStarted() | ServerPolicyChanged():
                self.recorder.record(message, sent_at)
            case AccountChanged():
                self.targets_store.record_place(judged(message, sent_at))
            case event:
                outcomes = self._handle_event(event, sent_at, deadline)
        return Handled(outcomes, date_ahead=believed is not message, unusable_facts=len(unusable))

    def _handle_event(self, event: Event, sent_at: datetime | None, deadline: datetime) -> Sequence[Outcome] | None:
        # At the same time: no target waits for the records, and no record for another.
        records: list[Future[Any]] = []
        recording: Future[TrackedPolicy] | None = None
        if not isinstance(event, BackupRecovered):
            records.append(self._threads.submit(self._keep, judged(event, sent_at)))
        if isinstance(event, BackupFinished):
            recording = self._threads.submit(self.recorder.record, event, sent_at)
            records.append(recording)
        try:
            return self._deliver_all(event, recording, sent_at, deadline)
        finally:
            _all_done(records)

    def _keep(self, event: RecordedEvent) -> None:
        """Keep the event in the history, then pass it on to the e-mail notices, which mark it there as sent."""
        now = self.clock()
        self.backups.keep(Backup.of(event, Timestamp.of(now)))
        if isinstance(event, BackupFinished):
            self.backup_output.keep(event, now)
        self.email_notices.send(event)

    def _deliver_all(
        self, event: Event, recording: Future[TrackedPolicy] | None, sent_at: datetime | None, deadline: datetime
    ) -> Sequence[Outcome] | None:
        if event.event_type is None:
            return None
        targets = self.targets.wanting(event)
        if not targets:
            logger.info("no target", extra={"account": event.account_alias, "event": event.event_type})
            return ()
        if len(targets) > MOST_TARGETS:
            logger.warning(
                "more targets than an event is posted to",
                extra={"account": event.account_alias, "event": event.event_type, "targets": len(targets)},
            )
            targets = targets[:MOST_TARGETS]
        since = self.clock()
        waiting = [target for target in targets if _needs_record(target)]
        deliveries = [
            self._threads.submit(self._deliver, event, target, None, since, deadline)
            for target in targets
            if not _needs_record(target)
        ]
        if waiting:
            policy = recording.result() if recording and _succeeded(recording) else None
            informed = _informed(event, policy)
            place = _place(event, policy, sent_at)
            # A failure is delivered even if the record fails: it is written when the message comes again.
            is_sure = _succeeded(recording) or event.event_type is EventType.FAILURE
            deliveries += [
                self._threads.submit(
                    self._deliver,
                    informed,
                    target,
                    place,
                    since,
                    deadline,
                )
                for target in waiting
                if is_sure or not target.preferences.changes_only
            ]
        # Each target is attempted before an error of one is raised, which makes the message come again.
        return _all_done(deliveries)

    def _deliver(
        self, event: Event, target: Target, place: Place | None, since: datetime, deadline: datetime
    ) -> Outcome:
        delivery = Delivery.of(event, target)
        if target.preferences == Preferences():
            return self._attempt(delivery, target, since, deadline)
        outcome = self.suppression.apply(event, target, delivery, place)
        outcome = outcome or self._attempt(delivery, target, since, deadline)
        # Last, because a reminder can wait.
        self.reminders.note(event, target, delivery, is_news=outcome.state is not DeliveryState.SUPPRESSED)
        return outcome

    def _attempt(self, delivery: Delivery, target: Target, since: datetime, deadline: datetime) -> Outcome:
        now = self.clock()
        due = AttemptDue.first(delivery, now)
        if target.health.circuit_open or now - since > _LONGEST_WAIT:
            self.retry_queue.send(due, now)
            return DEFERRED
        outcome = self.deliverer.deliver(due, target, deadline)
        if outcome.state is DeliveryState.GROUPED:
            # It was grouped before its target stopped wanting that.
            self.grouper.ensure_sent(delivery)
        return outcome


def _succeeded(recording: Future[TrackedPolicy] | None) -> bool:
    return recording is None or recording.exception() is None


def _needs_record(target: Target) -> bool:
    """Return whether a post needs what only the recorded policy knows: if the event is news, or the last success."""
    return target.preferences.changes_only or target.format != "text"


def _informed(event: Event, policy: TrackedPolicy | None) -> Event:
    """Return the event with the last success before it by the recorded policy, in which it is applied.

    A date that the sender has put there is not believed.
    """
    if not isinstance(event, BackupFinished):
        return event
    last_success_at = policy.streaks.last_success_at if policy else None
    is_before = last_success_at is not None and last_success_at < event.occurred_at
    return replace(event, last_success_date=Timestamp.of(last_success_at) if last_success_at and is_before else None)


def _place(event: Event, policy: TrackedPolicy | None, sent_at: datetime | None) -> Place | None:
    """Return the event's place among those of its type, or None if it is news whatever was sent before."""
    match event:
        case BackupMissed(missing_since_date=Timestamp() as since):
            return Place(event.expected_date, since)
        case BackupUnfinished():
            return Place(event.run_limit_date, event.unfinished_since_date)
        case BackupFinished() if policy:
            return policy.place(event, sent_at)
    return None


def _all_done[R](futures: Sequence[Future[R]]) -> Sequence[R]:
    """Return all results. Raise the first error once all have ended."""
    if errors := [error for future in futures if (error := future.exception())]:
        raise errors[0]
    return [future.result() for future in futures]
