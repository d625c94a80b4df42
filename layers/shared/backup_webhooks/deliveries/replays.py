"""Replays: a delivery that was attempted is attempted anew, under the same `webhook-id`, with all its retries.

Each is a message on RetryQueue for the attempt after the latest. Asked for twice before it is made, it is made once; a
target that was removed or switched off is not called.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import UNDELIVERED
from backup_webhooks.deliveries.delivery import AttemptDue
from backup_webhooks.deliveries.delivery_log import DeliveryLog, DeliveryRecord
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now

_AT_ONCE = 1000


class UnknownDelivery(LookupError):
    """The log has no such delivery: there was none, or it is older than the log."""


class Replayed(Struct, frozen=True):
    """How many are to be attempted anew. `cursor`: where to go on; None where nothing is left."""

    count: int
    cursor: str | None


class Replays(Struct, frozen=True):
    """Replays deliveries. Raises botocore's errors, after which the same may be asked again."""

    log: DeliveryLog
    retry_queue: RetryQueue
    clock: Clock = utc_now

    def one(self, account: str, sort_key: str) -> None:
        """The delivery with that key in the log, whatever came of it. Raises `UnknownDelivery`."""
        logged = self.log.find(account, sort_key)
        if logged is None:
            raise UnknownDelivery(sort_key)
        now = self.clock()
        self.retry_queue.send(_next_attempt(logged, now), now)

    def undelivered_since(self, account: str, since: datetime, cursor: str | None = None) -> Replayed:
        """The account's deliveries of events since then that failed and are not to be retried, the latest first.

        As many as a page of the log shows of them: the rest is asked for with the cursor. Raises `InvalidCursor`.
        """
        now = self.clock()
        page = self.log.page(account, since=since, until=now, limit=_AT_ONCE, cursor=cursor, states=UNDELIVERED)
        count = self.retry_queue.send_all((_next_attempt(logged, now) for logged in page.entries), now)
        return Replayed(count, page.cursor)


def _next_attempt(logged: DeliveryRecord, now: datetime) -> AttemptDue:
    return AttemptDue(
        delivery=logged.delivery, attempt=logged.standing.attempts + 1, retries=0, due_at=Timestamp.of(now)
    )
