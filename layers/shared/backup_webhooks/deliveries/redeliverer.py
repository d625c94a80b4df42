"""The redeliverer: handles each message of RetryQueue. It retries, replays, sends groups and gives reminders."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from msgspec import Struct

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.settings import Text
from backup_webhooks.deliveries.attempt import Deliverer, DeliverySettings, Outcome
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import (
    AttemptDue,
    GroupDue,
    RecheckDue,
    ReminderDue,
    RetryMessage,
    parse_retry_message,
)
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.sent_store import SentStore
from backup_webhooks.deliveries.standing_store import StandingStore
from backup_webhooks.deliveries.suppression import Suppression
from backup_webhooks.deliveries.sweep import Sweep
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target


class RedelivererSettings(DeliverySettings, frozen=True, kw_only=True):
    """The redeliverer's settings."""

    retry_dead_letter_queue_url: Text


class Redeliverer(Struct, frozen=True):
    """Handles messages, one call each. Shared by threads."""

    targets: TargetsCache
    deliverer: Deliverer
    retry_queue: RetryQueue
    grouper: Grouper
    reminders: Reminders
    sweep: Sweep
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: RedelivererSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return a redeliverer that uses the tables and queues of the settings."""
        dynamodb, sqs = aws.dynamodb(), aws.sqs()
        targets = TargetsCache(TargetsStore(dynamodb, settings.webhooks_table).load, lambda: clock().timestamp())
        retry_queue = RetryQueue(sqs, settings.retry_queue_url)
        queues = {
            DeliveryState.RETRYING: retry_queue,
            DeliveryState.EXHAUSTED: RetryQueue(sqs, settings.retry_dead_letter_queue_url),
        }
        deliverer = Deliverer.of(settings, targets, queues, aws, clock)
        grouper = Grouper(GroupsStore(deliverer.deliveries), retry_queue, clock)
        suppression = Suppression(deliverer.deliveries, SentStore(deliverer.deliveries), grouper, clock)
        return cls(
            targets=targets,
            deliverer=deliverer,
            retry_queue=retry_queue,
            grouper=grouper,
            reminders=Reminders.of(retry_queue, suppression, clock),
            sweep=Sweep(StandingStore(deliverer.deliveries), deliverer.settlements, retry_queue, grouper, clock),
            clock=clock,
        )

    def handle(self, body: str, deadline: datetime, receipt_handle: str) -> Outcome | None:
        """Make the attempt that is due, send the group, or give the reminder. Return the outcome of an attempt.

        A message that is not due yet goes back to the queue until it is. Raise `InvalidMessage`, `TryAgain` and
        botocore's errors for a message that SQS must deliver again, or move to the dead-letter queue. SQS deletes no
        message before what follows from it has been sent.
        """
        message = parse_retry_message(body)
        now = self.clock()
        if message.due_at > now:
            # A reminder that was replaced would otherwise go round for up to a month.
            if not isinstance(message, ReminderDue) or self.reminders.is_current(message):
                self.retry_queue.send_on(message, receipt_handle, now)
            return None
        target = self._target(message)
        match message:
            case GroupDue():
                self.grouper.send_group(message, target, deadline)
            case ReminderDue():
                self.reminders.remind(message, target, self.deliverer.streaks)
            case RecheckDue():
                self.deliverer.health.recheck(message, target)
            case AttemptDue():
                return self._attempt(message, target, deadline)
        return None

    def _attempt(self, due: AttemptDue, target: Target | None, deadline: datetime) -> Outcome:
        obstacle = due.delivery.obstacle(target)
        if target is None or obstacle:
            outcome = self.deliverer.abandon(due, f"the target {obstacle}")
        else:
            outcome = self.deliverer.deliver(due, target, deadline)
        if outcome.state is DeliveryState.GROUPED:
            self.grouper.ensure_sent(due.delivery)
        return outcome

    def _target(self, message: RetryMessage) -> Target | None:
        """Return the target as it is now, no older than `due_at`: failures before that time are recorded in it."""
        of = message.delivery if isinstance(message, AttemptDue) else message
        return self.targets.find(of.account, of.target_id, message.due_at.timestamp())
