"""Suppression: events that a target's preferences do not want are recorded as suppressed, or grouped with others."""

from __future__ import annotations

from datetime import datetime

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.attempt import Outcome
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import Delivery, id_at
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.sent_store import SentStore
from backup_webhooks.events.messages import GRAVE, Event, EventType
from backup_webhooks.events.timestamps import Clock, iso_milliseconds, utc_now
from backup_webhooks.monitoring.streaks import Place
from backup_webhooks.payloads import format_named
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import Target

logger = Logger(child=True)


def reason_to_suppress(
    preferences: Preferences, event_type: EventType, now: datetime, *, closes_incidents: bool = False
) -> str | None:
    """Return why an event of that type is not to be sent now, news or not; None if it is. Pure.

    `closes_incidents`: whether good news closes an incident at the destination, and so makes no sound there.
    """
    quiet_hours = preferences.quiet_hours
    if quiet_hours and not closes_incidents and event_type not in GRAVE and now in quiet_hours:
        return f"quiet hours: {quiet_hours}"
    return None


class Suppression(Struct, frozen=True):
    """Applies the preferences of targets, for events and for reminders. Shared by threads. Raises botocore's errors."""

    deliveries: DeliveriesStore
    sent: SentStore
    grouper: Grouper
    clock: Clock = utc_now

    def apply(self, event: Event, target: Target, delivery: Delivery, place: Place | None = None) -> Outcome | None:
        """Suppress or group the delivery as its target wants it. Return None if it is to be attempted, or was.

        `place`: the event's among those of its type; None if it is news whatever the target was sent.
        """
        now = self.clock()
        reason = self._reason(event, target, delivery, place, now)
        if reason and self.deliveries.suppress(delivery, target, reason, now):
            logger.info("suppressed", extra=delivery.log_fields() | {"reason": reason})
            return Outcome(DeliveryState.SUPPRESSED)
        if target.preferences.group and self.grouper.join(event, target, delivery):
            return Outcome(DeliveryState.GROUPED)
        return None

    def _reason(
        self, event: Event, target: Target, delivery: Delivery, place: Place | None, now: datetime
    ) -> str | None:
        preferences = target.preferences
        closes_incidents = format_named(target.format).closes_incidents
        if reason := reason_to_suppress(preferences, delivery.event_type, now, closes_incidents=closes_incidents):
            return reason
        if not preferences.changes_only or place is None:
            return None
        # Last, as news is recorded there as sent.
        policy_id = id_at(target, event, event.server_policy_id)
        repeated = self.sent.repeated_by(delivery, policy_id, target, place, now)
        return f"nothing new since {iso_milliseconds(repeated.event_at)}" if repeated else None
