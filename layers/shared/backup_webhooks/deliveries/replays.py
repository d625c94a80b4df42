"""Replays: a delivery is attempted again because a person asked, under the same `webhook-id`, with all its retries.

Each replay is a message on RetryQueue for the attempt after the latest, and the log shows it as planned. A person may
ask twice before it is made: it is made once. A target that was removed or switched off is not called.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backup_webhooks.deliveries.delivery import AttemptDue
from backup_webhooks.deliveries.delivery_log import DeliveryLog, DeliveryRecord
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.settlements_store import SettlementsStore
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now

# Each is sent and recorded within the time that the API's caller waits.
_PAGE = 300


class UnknownDelivery(LookupError):
    """The log has no such delivery: there was none, or it is older than the log."""


class Replayed(Struct, frozen=True):
    """The number of deliveries to be attempted again. `cursor`: where to go on; None if nothing is left."""

    count: int
    cursor: str | None


class Replays(Struct, frozen=True):
    """Replays deliveries. Raises botocore's errors, after which a call may be repeated."""

    log: DeliveryLog
    settlements: SettlementsStore
    retry_queue: RetryQueue
    clock: Clock = utc_now

    def one(self, account: str, sort_key: str) -> None:
        """Replay the delivery with that key in the log, in whatever state. Raise `UnknownDelivery`."""
        record = self.log.find(account, sort_key)
        if record is None:
            raise UnknownDelivery(sort_key)
        now = self.clock()
        due = _next_attempt(record, now)
        self.retry_queue.send(due, now)
        self.settlements.record_replay(due)

    def undelivered_since(self, account: str, since: datetime, cursor: str | None = None) -> Replayed:
        """Replay deliveries of events since then that failed and are not to be retried, the oldest first.

        One call replays what one page of the log holds; pass the cursor for the rest. Raise `InvalidCursor`. What is
        replayed counts as undelivered no more, so a call that is repeated after an error goes on where that one ended.
        """
        now = self.clock()
        page = self.log.undelivered(account, since, until=now, limit=_PAGE, cursor=cursor)
        count = 0
        for sent in self.retry_queue.send_all((_next_attempt(record, now) for record in page.records), now):
            for due in sent:
                self.settlements.record_replay(due)
            count += len(sent)
        return Replayed(count, page.cursor)


def _next_attempt(record: DeliveryRecord, now: datetime) -> AttemptDue:
    number = record.recorded.attempts + 1
    return AttemptDue(delivery=record.delivery, number=number, retries=0, due_at=Timestamp.of(now))
