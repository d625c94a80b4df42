"""Messages to send to the queue, from files in events/ or from JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from local.stack import Stack
from local.template import PROJECT

EVENTS = PROJECT / "events"
# One for each event type of the FAQ, with the facts of its examples.
SAMPLES = ("backup-failed", "backup-partial-success", "backup-missed", "backup-success")


def read(source: str) -> list[str]:
    """Return the message bodies in a file of events/ (a Lambda event or one message), or in a JSON text."""
    text = source if source.lstrip().startswith(("{", "[")) else Path(source).read_text()
    try:
        event = json.loads(text)
    except ValueError:
        # Sent as it is, to show how the service handles a broken message.
        return [text]
    if isinstance(event, dict) and "Records" in event:
        return [record["body"] for record in event["Records"]]
    return [text]


def send(stack: Stack, body: str) -> str:
    """Send a message to BackupEventsQueue. Return its id."""
    response = stack.client("sqs").send_message(QueueUrl=stack.outputs["BackupEventsQueueUrl"], MessageBody=body)
    return str(response["MessageId"])


def samples() -> Iterator[str]:
    """Yield the bodies of the four sample messages."""
    for name in SAMPLES:
        yield from read(str(EVENTS / f"{name}.json"))
