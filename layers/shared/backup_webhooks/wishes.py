"""What a target wants done in place of an attempt: the one rule for notifications and for reminders."""

from __future__ import annotations

from enum import Enum

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.delivery import Delivery
from backup_webhooks.gathering import Gatherer
from backup_webhooks.messages import Notice
from backup_webhooks.moments import Clock, utc_now
from backup_webhooks.noise import Repetition
from backup_webhooks.payloads import format_named
from backup_webhooks.stores.deliveries import DeliveriesStore
from backup_webhooks.targets import Target

logger = Logger(child=True)


class Instead(Enum):
    """What was done in place of an attempt."""

    HANDED_OVER = "handed over"
    HELD_BACK = "held back"
    GATHERED = "gathered"


class Wishes(Struct, frozen=True):
    """Sees to it that targets hear no more than they want. Shared by threads. Raises botocore's errors."""

    deliveries: DeliveriesStore
    gatherer: Gatherer
    clock: Clock = utc_now

    def honour(
        self, notice: Notice, target: Target, delivery: Delivery, repetition: Repetition | None = None
    ) -> Instead | None:
        """Hold the delivery back or let it wait, as its target wants it; None where it is to be attempted, or was."""
        now = self.clock()
        is_loud = not format_named(target.format).closes_incidents
        reason = target.noise.hold_back(target.event, repetition, now, is_loud=is_loud)
        if reason and self.deliveries.hold_back(delivery, target, reason, now):
            logger.info("held back", extra=delivery.log_fields() | {"reason": reason})
            return Instead.HELD_BACK
        if target.noise.gather and self.gatherer.join(notice, delivery, target):
            return Instead.GATHERED
        return None
