"""Reminders: while trouble lasts, its newest event is sent again every so many hours.

A message on RetryQueue is due then, one for each target and server policy. The store names the current one. So a
message that comes twice reminds once, and the next trouble makes up for a message that was lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, ReminderDue, id_at
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.suppression import Suppression
from backup_webhooks.deliveries.target_partition import OfTarget, partition_of
from backup_webhooks.events.messages import TROUBLE, Event, without_output
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.monitoring.streaks_store import StreaksStore
from backup_webhooks.targets.target import Target

# Otherwise a reminder that quiet hours suppress would be suppressed at the same time each day.
_PAUSE_IF_SUPPRESSED = timedelta(hours=1)
# An event at the same time of a later day comes first, so that the reminder repeats that.
_SETTLED = timedelta(minutes=10)
# A message on RetryQueue has come by then, or never will.
_OVERDUE = timedelta(hours=1)

logger = Logger(child=True)


class Reminders(Struct, frozen=True):
    """Plans reminders and sends them. Shared by threads.

    Raises botocore's errors; each call may be repeated after one.
    """

    store: RemindersStore
    queue: RetryQueue
    suppression: Suppression
    clock: Clock = utc_now

    @classmethod
    def of(cls, queue: RetryQueue, suppression: Suppression, clock: Clock = utc_now) -> Self:
        """Return the reminders of targets whose deliveries `suppression` judges."""
        deliveries = suppression.deliveries
        return cls(RemindersStore(deliveries.client, deliveries.table), queue, suppression, clock)

    def note(self, event: Event, target: Target, delivery: Delivery, *, is_news: bool) -> None:
        """Plan a reminder of the event, or let the planned one repeat this event.

        `delivery`: of the event to the target. `is_news`: the trouble begins with this event, and so do the hours.
        """
        hours = target.preferences.remind_hours
        if hours is None or delivery.event_type not in TROUBLE:
            return
        now = self.clock()
        due_at = Timestamp.of(now + timedelta(hours=hours) + _SETTLED)
        event = event if target.include_output else without_output(event)
        policy_id = id_at(target, event, event.server_policy_id)
        expires_at = due_at + self.suppression.deliveries.retention
        planned = self.store.keep(partition_of(delivery), policy_id, event, expires_at)
        begins = is_news and planned.begins
        if begins or planned.due_at is None or not now - _OVERDUE <= planned.due_at <= due_at:
            self._plan(delivery, policy_id, due_at, event.occurred_at if begins else None)

    def is_current(self, message: ReminderDue) -> bool:
        """Return whether the message is the current one for its target and server policy."""
        return self.store.due(partition_of(message), message.server_policy_id, message.due_at) is not None

    def remind(self, message: ReminderDue, target: Target | None, streaks: StreaksStore) -> None:
        """Send the reminder that is due and plan the next. Forget it if it is not wanted or the trouble is over."""
        partition = partition_of(message)
        event = self.store.due(partition, message.server_policy_id, message.due_at)
        if event is None:
            return
        hours = target.preferences.remind_hours if target and target.wants(event) else None
        trouble = (event.account_alias, event.server_policy_id, message.event_type)
        if target is None or hours is None or not streaks.goes_on(*trouble):
            self.store.forget(partition, message.server_policy_id, message.due_at)
            return
        now = self.clock()
        pause = timedelta(hours=hours) if self._send(event, message, target, now) else _PAUSE_IF_SUPPRESSED
        self._plan(message, message.server_policy_id, Timestamp.of(now + pause))

    def _plan(self, of: OfTarget, server_policy_id: str, due_at: Timestamp, begun_with: datetime | None = None) -> None:
        message = ReminderDue(
            account=of.account,
            event_type=of.event_type,
            target_id=of.target_id,
            server_policy_id=server_policy_id,
            due_at=due_at,
        )
        self.queue.send(message, self.clock())
        # Renewed with each reminder: no event need come while the trouble lasts.
        expires_at = due_at + self.suppression.deliveries.retention
        self.store.plan(partition_of(message), server_policy_id, due_at, expires_at, begun_with)

    def _send(self, event: Event, message: ReminderDue, target: Target, now: datetime) -> bool:
        """Send the reminder. Return False if its target does not want it now."""
        delivery = Delivery.of(event, target).as_reminder(message.server_policy_id, message.due_at)
        outcome = self.suppression.apply(event, target, delivery)
        if outcome and outcome.state is DeliveryState.SUPPRESSED:
            return False
        if outcome is None:
            self.queue.send(AttemptDue.first(delivery, now), now)
        logger.info("reminded", extra=delivery.log_fields())
        return True
