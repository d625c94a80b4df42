"""Replays: a delivery that was attempted is attempted anew, under the same `webhook-id`, with all its retries.

Each is a message on RetryQueue for the attempt after the latest. Asked for twice before it is made, it is made once; a
target that was removed or switched off is not called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from backup_webhooks.delivery import Redelivery
from backup_webhooks.moments import Clock, Moment, utc_now
from backup_webhooks.redelivery_queue import RedeliveryQueue
from backup_webhooks.stores.deliveries import UNDELIVERED, DeliveriesStore, Logged


class UnknownDelivery(LookupError):
    """The log has no such delivery: there was none, or it is older than the log."""


@dataclass(frozen=True, slots=True)
class Replays:
    """Replays deliveries. Raises botocore's errors, after which the same may be asked again."""

    deliveries: DeliveriesStore
    retry_queue: RedeliveryQueue
    dead_letters: RedeliveryQueue
    clock: Clock = utc_now

    def one(self, account: str, sort_key: str) -> None:
        """The delivery with that key in the log, whatever came of it. Raises `UnknownDelivery`."""
        logged = self.deliveries.find(account, sort_key)
        if logged is None:
            raise UnknownDelivery(sort_key)
        now = self.clock()
        self.retry_queue.send(_next_attempt(logged, now), now)

    def undelivered_since(self, account: str, since: datetime) -> int:
        """The account's deliveries of events since then that failed and are not to be retried; how many they were."""
        now = self.clock()
        return self.retry_queue.send_all(self._undelivered(account, since, now), now)

    def all_dead_letters(self) -> int:
        """Everybody's deliveries whose last retry failed, or that could not be handled; how many they were."""
        return self.dead_letters.move_all_to(self.retry_queue, self.clock())

    def _undelivered(self, account: str, since: datetime, now: datetime) -> Iterator[Redelivery]:
        for logged in self.deliveries.of_account(account, since, now):
            if logged.standing.state in UNDELIVERED:
                yield _next_attempt(logged, now)


def _next_attempt(logged: Logged, now: datetime) -> Redelivery:
    return Redelivery(delivery=logged.delivery, attempt=logged.standing.attempts + 1, retries=0, due_at=Moment.of(now))
