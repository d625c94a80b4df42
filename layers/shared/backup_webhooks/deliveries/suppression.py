"""What a target wants done in place of an attempt: the one rule for notifications and for reminders."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.deliveries.grouping import Gatherer
from backup_webhooks.events.messages import Notice, WebhookEvent
from backup_webhooks.events.timestamps import Clock, iso_milliseconds, utc_now
from backup_webhooks.monitoring.streaks import Repetition
from backup_webhooks.payloads import format_named
from backup_webhooks.targets.preferences import Noise
from backup_webhooks.targets.target import Target

# Nobody wants to sleep through these.
_NEVER_QUIET = (WebhookEvent.FAILURE, WebhookEvent.MISSING)

logger = Logger(child=True)


class Instead(Enum):
    """What was done in place of an attempt."""

    HANDED_OVER = "handed over"
    HELD_BACK = "held back"
    GATHERED = "gathered"


def hold_back(
    noise: Noise, event: WebhookEvent, repetition: Repetition | None, now: datetime, *, is_loud: bool = True
) -> str | None:
    """Why a notice of an event is not to be sent now; None where it is.

    Pure, and the same for a message that comes twice: it is judged by the times of its events, never by what was sent.
    `is_loud`: whether good news makes a sound at its destination; it doesn't where it closes an incident.
    """
    if noise.changes_only and repetition:
        return f"nothing new since {iso_milliseconds(repetition.since)}" if repetition.since else "nothing new"
    if noise.quiet_hours and is_loud and event not in _NEVER_QUIET and now in noise.quiet_hours:
        return f"quiet hours: {noise.quiet_hours}"
    return None


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
        reason = hold_back(target.noise, target.event, repetition, now, is_loud=is_loud)
        if reason and self.deliveries.hold_back(delivery, target, reason, now):
            logger.info("held back", extra=delivery.log_fields() | {"reason": reason})
            return Instead.HELD_BACK
        if target.noise.gather and self.gatherer.join(notice, delivery, target):
            return Instead.GATHERED
        return None
