"""Makes the attempts on RetryQueue: retries, replays, and those at targets for which the notifier does not wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from backup_webhooks import clients
from backup_webhooks.deliverer import Deliverer
from backup_webhooks.delivery import Redelivery, parse_redelivery
from backup_webhooks.moments import Clock, utc_now
from backup_webhooks.redelivery_queue import RedeliveryQueue
from backup_webhooks.sender import Attempt
from backup_webhooks.settings import RedelivererSettings
from backup_webhooks.stores.deliveries import DeliveryState
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.targets import Target
from backup_webhooks.webhooks_cache import WebhooksCache


@dataclass(frozen=True, slots=True)
class Redelivered:
    """What came of one message: the attempt, if one was made, and whether it was the last of its schedule."""

    attempt: Attempt | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Redeliverer:
    """Handles messages, one call each. Shared by threads."""

    webhooks: WebhooksCache
    deliverer: Deliverer
    queue: RedeliveryQueue
    dead_letters: RedeliveryQueue
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: RedelivererSettings) -> Self:
        """One on the tables and queues that the settings name."""
        webhooks = WebhooksCache(WebhooksStore(clients.dynamodb(), settings.delivery.webhooks_table).of_account)
        return cls(
            webhooks=webhooks,
            deliverer=Deliverer.of(settings.delivery, webhooks),
            queue=RedeliveryQueue(clients.sqs(), settings.delivery.retry_queue_url),
            dead_letters=RedeliveryQueue(clients.sqs(), settings.dead_letter_queue_url),
        )

    def handle(self, body: str, deadline: datetime) -> Redelivered:
        """Make the attempt that is due, or send the message round again until it is.

        Raises `InvalidMessage`, `Postponed` and botocore's errors for a message that must come again or end in the
        dead letters. Nothing is deleted before what follows from it has been sent.
        """
        order = parse_redelivery(body)
        now = self.clock()
        if order.due_at > now:
            self.queue.send(order, now)
            return Redelivered()
        target = self._target(order)
        obstacle = order.delivery.obstacle(target)
        if target is None or obstacle:
            outcome = self.deliverer.abandon(order, f"not attempted: the target {obstacle}")
        else:
            outcome = self.deliverer.deliver(order, target, deadline)
        if outcome.then:
            exhausted = outcome.state is DeliveryState.EXHAUSTED
            (self.dead_letters if exhausted else self.queue).send(outcome.then, self.clock())
        return Redelivered(outcome.attempt, outcome.state is DeliveryState.EXHAUSTED and outcome.attempt is not None)

    def _target(self, order: Redelivery) -> Target | None:
        """As it is now, at least since the message became due: what failed before that has been written down."""
        delivery = order.delivery
        return self.webhooks.find(delivery.account, delivery.event, delivery.target_id, order.due_at.timestamp())
