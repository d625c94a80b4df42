"""The stores and the queue in memory, for a simulated week in a second.

They promise as much as DynamoDB and SQS, and no more: conditional writes, an index, and messages that are invisible
while they are handled and come again if they are not deleted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import shard_of
from backup_webhooks.monitoring.watermark import Watermark

# As in the template, of both queues.
VISIBILITY = timedelta(seconds=180)
MAX_RECEIVES = 100
ORDERLY = 0.5


class Killed(BaseException):
    """The function's process is gone. No handler of errors may stop it."""


@dataclass
class MemoryPolicies:
    """ServerPoliciesTable. `step` is called before and after each write."""

    step: Callable[[], None] = lambda: None
    items: dict[str, TrackedPolicy] = field(default_factory=dict)
    _shards: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))

    def load(self, server_policy_id: str) -> TrackedPolicy:
        return self.items.get(server_policy_id, TrackedPolicy(server_policy_id))

    def save(self, tracked: TrackedPolicy) -> None:
        self.step()
        if self.load(tracked.server_policy_id).revision != tracked.revision:
            raise Conflict(tracked.server_policy_id)
        self.items[tracked.server_policy_id] = replace(tracked, revision=tracked.revision + 1)
        self._shards[shard_of(tracked.server_policy_id)].add(tracked.server_policy_id)
        self.step()

    def due(self, shard: int, as_of: datetime) -> Iterator[Sequence[TrackedPolicy]]:
        page = [
            self.items[policy_id] for policy_id in sorted(self._shards[shard]) if self.items[policy_id].is_missed(as_of)
        ]
        if page:
            yield page


@dataclass
class MemoryWatermarkStore:
    """The watermark's item."""

    watermark: Watermark = field(default_factory=Watermark)

    def load(self) -> Watermark:
        return self.watermark

    def save_tick(self, watermark: Watermark, read: Collection[datetime] = ()) -> None:
        self.watermark = replace(watermark, read=self.watermark.read - frozenset(read))

    def record_read(self, sent_at: datetime) -> None:
        self.watermark = replace(self.watermark, read=self.watermark.read | {sent_at})


@dataclass
class _Message:
    body: str
    visible_at: datetime
    receives: int = 0


@dataclass
class MemoryQueue:
    """A standard queue: almost in order, at least once. `now` is the world's clock."""

    chance: random.Random
    now: Callable[[], datetime]
    step: Callable[[], None] = lambda: None
    visibility: timedelta = VISIBILITY
    max_receives: int = MAX_RECEIVES
    dead_letters: list[str] = field(default_factory=list)
    _messages: list[_Message] = field(default_factory=list)

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, MessageGroupId: str = "") -> None:
        assert 0 <= DelaySeconds <= 900
        self.step()
        self._messages.append(_Message(MessageBody, self.now() + timedelta(seconds=DelaySeconds)))
        self.step()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.step()
        self._messages += [_Message(entry["MessageBody"], self.now()) for entry in Entries]
        self.step()
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def receive(self) -> list[_Message]:
        """Up to ten of the hundred oldest visible messages; every other time of all, the newest as well."""
        visible = [message for message in self._messages if message.visible_at <= self.now()]
        if self.chance.random() < ORDERLY:
            visible = visible[:100]
        batch = self.chance.sample(visible, min(10, len(visible)))
        for message in batch:
            message.receives += 1
            message.visible_at = self.now() + self.visibility
            if message.receives > self.max_receives:
                self.dead_letters.append(message.body)
                self._messages.remove(message)
        return [message for message in batch if message.receives <= self.max_receives]

    @property
    def next_visible_at(self) -> datetime | None:
        """When there will be something to receive; None where the queue is empty."""
        return min((message.visible_at for message in self._messages), default=None)

    def delete(self, message: _Message) -> None:
        self._messages.remove(message)

    @property
    def bodies(self) -> list[str]:
        """All that stands on it, in hand or not."""
        return [message.body for message in self._messages]

    def redrive(self) -> None:
        """Put the dead letters back, as an operator does once what was wrong is mended."""
        bodies, self.dead_letters = self.dead_letters, []
        for body in bodies:
            self.send_message(QueueUrl="", MessageBody=body)
