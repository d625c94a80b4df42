"""What a target was sent last about a server policy: an item of each event type, in the target's partition.

Key `sent#{server policy id}` (`target_partition`). `eventAt`: the place of the event among those of its type. `logKey`:
its delivery in the log, which says what became of it. `begun`: the target's, `sentAt`: the time when it
was judged to be news. `arrived`: true once the log has said so, as the log forgets. `expiresAt`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.deliveries.target_partition import key_in, partition_of
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.streaks import Place
from backup_webhooks.targets.target import Target

# A delivery that waits for the redeliverer is not in the log for so long, unless its message cannot be handled.
_LONGEST_UNRECORDED = timedelta(minutes=15)
_LOST = (DeliveryState.FAILED, DeliveryState.EXHAUSTED, DeliveryState.SUPPRESSED)


class Sent(Struct, frozen=True):
    """The newest event of its type that a target was sent about a server policy, or will be (module docstring)."""

    event_at: datetime
    log_key: str
    begun: int
    sent_at: datetime
    arrived: bool = False

    @classmethod
    def of(cls, delivery: Delivery, target: Target, place: Place, now: datetime) -> Sent:
        """Return the delivery as what is sent now."""
        return cls(place.at, delivery.sort_key, target.begun, Timestamp.of(now))

    def is_repeated_by(self, place: Place, delivery: Delivery, target: Target) -> bool:
        """Return whether the event at that place, with its own delivery, says nothing new to the target. Pure.

        That is so if this one arrived, or still may.
        """
        is_another = self.log_key != delivery.sort_key
        return is_another and self.begun == target.begun and self.event_at >= place.since


class SentStore(Struct, frozen=True):
    """Reads and writes what was sent. Raises botocore's errors."""

    deliveries: DeliveriesStore

    def repeated_by(
        self, delivery: Delivery, policy_id: str, target: Target, place: Place, now: datetime
    ) -> Sent | None:
        """Return what the delivery would only repeat, or None if it is news, which is recorded here before it is sent.

        A delivery that comes twice is judged alike, unless it was suppressed: the log knows that.
        """
        key = key_in(partition_of(delivery), f"sent#{policy_id}")
        # Another thread or function may record an event of its own meanwhile.
        while True:
            sent = self._load(key)
            if sent and sent.is_repeated_by(place, delivery, target) and self._arrives(delivery.account, sent, now):
                self._keep(key, sent, now)
                return sent
            news = Sent.of(delivery, target, place, now)
            # A late event is not the newest, and a message that comes again has nothing to record.
            is_newest = sent is None or sent.begun != target.begun or sent.event_at < place.at
            if not is_newest or self._save(key, news, seen=sent, now=now):
                return None

    def _arrives(self, account: str, sent: Sent, now: datetime) -> bool:
        """Return whether it arrived, or still may."""
        state = DeliveryState.DELIVERED if sent.arrived else self.deliveries.fate(account, sent.log_key)
        if state is None:
            return now - sent.sent_at < _LONGEST_UNRECORDED
        return state not in _LOST

    def _keep(self, key: dict[str, Any], sent: Sent, now: datetime) -> None:
        """Renew the item while events repeat it: it must not be forgotten before the trouble is over."""
        if now - sent.sent_at > self.deliveries.retention / 2:
            # Older than the longest retries, so what has not failed arrived.
            self._save(key, replace(sent, arrived=True, sent_at=Timestamp.of(now)), seen=sent, now=now)

    def _load(self, key: dict[str, Any]) -> Sent | None:
        answer = self.deliveries.client.get_item(TableName=self.deliveries.table, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            return None
        fields = from_item(answer["Item"])
        return Sent(
            event_at=Timestamp.parse(fields["eventAt"]),
            log_key=fields["logKey"],
            begun=int(fields["begun"]),
            sent_at=Timestamp.parse(fields["sentAt"]),
            arrived=fields["arrived"],
        )

    def _save(self, key: dict[str, Any], sent: Sent, *, seen: Sent | None, now: datetime) -> bool:
        """Store what is sent. Return False if another writer came first since `seen`."""
        client = self.deliveries.client
        values = {
            "eventAt": iso_milliseconds(sent.event_at),
            "logKey": sent.log_key,
            "begun": sent.begun,
            "sentAt": iso_milliseconds(sent.sent_at),
            "arrived": sent.arrived,
            "expiresAt": int((now + self.deliveries.retention).timestamp()),
        }
        unchanged: Any = {"ConditionExpression": "attribute_not_exists(logKey)"}
        if seen:
            unchanged = {
                "ConditionExpression": "logKey = :seen",
                "ExpressionAttributeValues": to_item({":seen": seen.log_key}),
            }
        try:
            client.put_item(TableName=self.deliveries.table, Item=key | to_item(values), **unchanged)
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True
