"""The sweep: finds deliveries that stand still and goes on with them, or settles them with what is known.

A delivery stands still if the message that would go on with it is a dead letter, or found its target gone, or if its
function could not record the result. Nothing else waits for `STANDS_STILL_AFTER` beyond its time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue
from backup_webhooks.deliveries.delivery_log import record_of
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.settlements_store import SettlementsStore
from backup_webhooks.deliveries.standing_store import StandingStore
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now

# A message is received 100 times in 5 hours, and is delayed by a quarter of an hour at most.
STANDS_STILL_AFTER = timedelta(hours=6)
# To settle what one more page has, even if AWS is slow.
_PAGE_NEEDS = timedelta(seconds=10)

logger = Logger(child=True)


class Sweep(Struct, frozen=True):
    """Goes through the delivery log, a part at a time. Raises botocore's errors, after which a call may be repeated."""

    standing: StandingStore
    settlements: SettlementsStore
    queue: RetryQueue
    grouper: Grouper
    clock: Clock = utc_now

    def run(self, deadline: datetime) -> int:
        """Settle what stands still. Return the number. The next call goes on where this one has no more time."""
        settled, position = 0, self.standing.position()
        while True:
            page, position = self.standing.page(position, self.clock() - STANDS_STILL_AFTER)
            for item in page:
                self._settle(item)
            settled += len(page)
            if position is None or deadline - self.clock() < _PAGE_NEEDS:
                self.standing.save(position)
                return settled

    def _settle(self, item: dict[str, Any]) -> None:
        record, now = record_of(item), self.clock()
        logger.warning("stood still", extra=record.delivery.log_fields() | {"state": record.recorded.state})
        due = AttemptDue(
            delivery=record.delivery,
            number=record.recorded.attempts + 1,
            # A replay takes all of them again, but how many it has taken is not known.
            retries=record.recorded.attempts,
            due_at=Timestamp.of(now),
        )
        match record.recorded.state:
            case DeliveryState.CLAIMED:
                self.settlements.interrupt(item, "the result of its POST is not known", now)
            case DeliveryState.RETRYING if "resumedAt" not in item:
                self.queue.send(due, now)
                self.settlements.record_resumed(due, now)
            case DeliveryState.RETRYING:
                self.settlements.abandon(due, "its retry was lost", now)
            case DeliveryState.GROUPED:
                self.grouper.ensure_sent(record.delivery)
