"""Queues in memory on the world's clock, and SQS's JSON protocol in front of them.

A queue promises only what a standard queue of SQS does: messages come almost in order, at least once. A message is
invisible while it is handled, and comes again unless it is deleted.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from local.template import Template
from tests.support.fault_proxy import Answer

# SQS's default. The queues of the template that a function reads have their own.
VISIBILITY_SECONDS = 30
MOST_IN_A_BATCH = 10
# A standard queue returns some of its oldest messages, and now and then some of all.
OLDEST = 100
ORDERLY = 0.5


@dataclass(eq=False)
class Message:
    """A message on a queue."""

    body: str
    sent_at: datetime
    visible_at: datetime
    receives: int = 0
    _number: int = field(default_factory=count().__next__)

    @property
    def receipt_handle(self) -> str:
        return f"{self._number} {self.receives}"


@dataclass
class MemoryQueue:
    """A standard queue. `now` is the world's clock. `max_receives`: 0 for a queue without a redrive policy.

    `dead_letters`: the bodies of messages that were received too often.
    """

    chance: random.Random
    now: Callable[[], datetime]
    visibility: timedelta = timedelta(seconds=VISIBILITY_SECONDS)
    max_receives: int = 0
    dead_letters: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @classmethod
    def of(cls, template: Template, name: str, chance: random.Random, now: Callable[[], datetime]) -> MemoryQueue:
        """Return the template's queue of that name, empty."""
        properties = template.cloudformation["Resources"][name]["Properties"]
        return cls(
            chance,
            now,
            visibility=timedelta(seconds=properties.get("VisibilityTimeout", VISIBILITY_SECONDS)),
            max_receives=properties.get("RedrivePolicy", {}).get("maxReceiveCount", 0),
        )

    def send(self, body: str, delay_seconds: int = 0) -> None:
        """Put a message on the queue. It is visible after the delay."""
        assert 0 <= delay_seconds <= 900
        self.messages.append(Message(body, self.now(), self.now() + timedelta(seconds=delay_seconds)))

    def receive(self) -> list[Message]:
        """Return up to ten of the hundred oldest visible messages; every other time of all, the newest as well."""
        visible = [message for message in self.messages if message.visible_at <= self.now()]
        if self.chance.random() < ORDERLY:
            visible = visible[:OLDEST]
        batch = self.chance.sample(visible, min(MOST_IN_A_BATCH, len(visible)))
        for message in batch:
            message.receives += 1
            message.visible_at = self.now() + self.visibility
            if 0 < self.max_receives < message.receives:
                self.dead_letters.append(message.body)
                self.messages.remove(message)
        return [message for message in batch if message in self.messages]

    @property
    def next_visible_at(self) -> datetime | None:
        """Return when there will be something to receive, or None if the queue is empty."""
        return min((message.visible_at for message in self.messages), default=None)

    def delete(self, receipt_handle: str) -> None:
        """Delete the message of that receipt, if it is still there."""
        self.messages = [message for message in self.messages if message.receipt_handle != receipt_handle]

    @property
    def bodies(self) -> list[str]:
        """Return the bodies of all messages, visible or not."""
        return [message.body for message in self.messages]

    def redrive(self) -> None:
        """Put the dead letters back, as an operator does once the fault is repaired."""
        bodies, self.dead_letters = self.dead_letters, []
        for body in bodies:
            self.send(body)


class MemorySqs:
    """The sending side of SQS's JSON protocol. `queues` are found by the last part of their URLs.

    `accepted`: the bodies of all messages that were ever sent, by queue.
    """

    def __init__(self, queues: Mapping[str, MemoryQueue]) -> None:
        self.queues = queues
        self.accepted: dict[str, list[str]] = {name: [] for name in queues}

    def __call__(self, operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        name = parameters["QueueUrl"].rpartition("/")[2]
        match operation:
            case "SendMessage":
                answer = self._send(name, parameters)
            case "SendMessageBatch":
                taken = [{"Id": entry["Id"]} | self._send(name, entry) for entry in parameters["Entries"]]
                answer = {"Successful": taken, "Failed": []}
            case "DeleteMessage":
                self.queues[name].delete(parameters["ReceiptHandle"])
                answer = {}
            case _:
                raise NotImplementedError(operation)
        return 200, json.dumps(answer).encode()

    def _send(self, name: str, entry: Mapping[str, Any]) -> dict[str, str]:
        body = entry["MessageBody"]
        self.queues[name].send(body, entry.get("DelaySeconds", 0))
        self.accepted[name].append(body)
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}
