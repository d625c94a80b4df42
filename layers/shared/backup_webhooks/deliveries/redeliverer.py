"""Does what is on RetryQueue: retries, replays, what the notifier does not wait for, gatherings and reminders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Self

from msgspec import Struct

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import RedelivererSettings
from backup_webhooks.deliveries.attempt import Deliverer
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, GroupDue, ReminderDue, RetryMessage, parse_retry_message
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.suppression import Wishes
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.monitoring.streaks_store import StreaksStore
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.target import Target
from backup_webhooks.targets.webhooks_store import WebhooksStore


class Redelivered(Struct, frozen=True):
    """What came of one message: the attempt, if one was made, and whether it was the last of its schedule."""

    attempt: AttemptResult | None = None
    exhausted: bool = False


class Redeliverer(Struct, frozen=True):
    """Handles messages, one call each. Shared by threads."""

    webhooks: TargetsCache
    deliverer: Deliverer
    queue: RetryQueue
    dead_letters: RetryQueue
    gatherer: Grouper
    reminders: Reminders
    goes_on: Callable[[str, EventType], bool]
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: RedelivererSettings) -> Self:
        """One on the tables and queues that the settings name."""
        dynamodb = clients.dynamodb()
        webhooks = TargetsCache(WebhooksStore(dynamodb, settings.delivery.webhooks_table).of_account)
        deliverer = Deliverer.of(settings.delivery, webhooks)
        queue = RetryQueue(clients.sqs(), settings.delivery.retry_queue_url)
        gatherer = Grouper(GroupsStore(deliverer.deliveries), queue)
        return cls(
            webhooks=webhooks,
            deliverer=deliverer,
            queue=queue,
            dead_letters=RetryQueue(clients.sqs(), settings.dead_letter_queue_url),
            gatherer=gatherer,
            reminders=Reminders.of(queue, Wishes(deliverer.deliveries, gatherer)),
            goes_on=StreaksStore(dynamodb, settings.server_policies_table).goes_on,
        )

    def handle(self, body: str, deadline: datetime) -> Redelivered:
        """Make the attempt that is due, gather up what waits, or remind; or send the message round again until then.

        Raises `InvalidMessage`, `TryAgain` and botocore's errors for a message that must come again or end in the
        dead letters. Nothing is deleted before what follows from it has been sent.
        """
        message = parse_retry_message(body)
        now = self.clock()
        if message.due_at > now:
            # The reminders that do not count any more would go round for up to a month.
            if not isinstance(message, ReminderDue) or self.reminders.counts(message):
                self.queue.send(message, now)
            return Redelivered()
        match message:
            case GroupDue():
                self.gatherer.gather_up(message, lambda: self._target(message), deadline)
            case ReminderDue():
                goes_on = partial(self.goes_on, message.server_policy_id, message.event_type)
                self.reminders.remind(message, self._target(message), goes_on)
            case AttemptDue():
                return self._attempt(message, deadline)
        return Redelivered()

    def _attempt(self, order: AttemptDue, deadline: datetime) -> Redelivered:
        target = self._target(order)
        obstacle = order.delivery.obstacle(target)
        if target is None or obstacle:
            outcome = self.deliverer.abandon(order, f"not attempted: the target {obstacle}")
        else:
            outcome = self.deliverer.deliver(order, target, deadline)
        if outcome.state is DeliveryState.GROUPED:
            self.gatherer.see_to(order.delivery)
        if outcome.then:
            exhausted = outcome.state is DeliveryState.EXHAUSTED
            (self.dead_letters if exhausted else self.queue).send(outcome.then, self.clock())
        return Redelivered(outcome.attempt, outcome.state is DeliveryState.EXHAUSTED and outcome.attempt is not None)

    def _target(self, message: RetryMessage) -> Target | None:
        """As it is now, at least since the message became due: what failed before that has been written down."""
        of = message.delivery if isinstance(message, AttemptDue) else message
        return self.webhooks.find(of.account, of.event_type, of.target_id, message.due_at.timestamp())
