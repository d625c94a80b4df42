"""What a target wants done in place of an attempt: the one rule for notifications and for reminders."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.events.messages import Event, EventType
from backup_webhooks.events.timestamps import Clock, iso_milliseconds, utc_now
from backup_webhooks.monitoring.streaks import Repetition
from backup_webhooks.payloads import format_named
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import Target

# Nobody wants to sleep through these.
_NEVER_QUIET = (EventType.FAILURE, EventType.MISSING)

logger = Logger(child=True)


class Instead(Enum):
    """What was done in place of an attempt."""

    DEFERRED = "handed over"
    SUPPRESSED = "held back"
    GROUPED = "gathered"


def suppress(
    preferences: Preferences,
    event_type: EventType,
    repetition: Repetition | None,
    now: datetime,
    *,
    is_loud: bool = True,
) -> str | None:
    """Why a notice of an event is not to be sent now; None where it is.

    Pure, and the same for a message that comes twice: it is judged by the times of its events, never by what was sent.
    `is_loud`: whether good news makes a sound at its destination; it doesn't where it closes an incident.
    """
    if preferences.changes_only and repetition:
        return f"nothing new since {iso_milliseconds(repetition.since)}" if repetition.since else "nothing new"
    if preferences.quiet_hours and is_loud and event_type not in _NEVER_QUIET and now in preferences.quiet_hours:
        return f"quiet hours: {preferences.quiet_hours}"
    return None


class Wishes(Struct, frozen=True):
    """Sees to it that targets hear no more than they want. Shared by threads. Raises botocore's errors."""

    deliveries: DeliveriesStore
    gatherer: Grouper
    clock: Clock = utc_now

    def honour(
        self, event: Event, target: Target, delivery: Delivery, repetition: Repetition | None = None
    ) -> Instead | None:
        """Hold the delivery back or let it wait, as its target wants it; None where it is to be attempted, or was."""
        now = self.clock()
        is_loud = not format_named(target.format).closes_incidents
        reason = suppress(target.preferences, target.event_type, repetition, now, is_loud=is_loud)
        if reason and self.deliveries.suppress(delivery, target, reason, now):
            logger.info("held back", extra=delivery.log_fields() | {"reason": reason})
            return Instead.SUPPRESSED
        if target.preferences.gather and self.gatherer.join(event, delivery, target):
            return Instead.GROUPED
        return None
