"""Messages to put on the queue: from files in events/, or from JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from local.stack import Stack
from local.template import PROJECT

EVENTS = PROJECT / "events"
# One a webhook event, with the facts of the FAQ's examples.
SAMPLES = ("backup-failed", "backup-partial-success", "backup-missed", "backup-success")


def read(source: str) -> list[str]:
    """The message bodies in a file of events/ (a Lambda event or one bare message) or in a JSON text."""
    text = source if source.lstrip().startswith(("{", "[")) else Path(source).read_text()
    try:
        event = json.loads(text)
    except ValueError:
        # Sent as it is: what the service makes of a broken message is worth seeing.
        return [text]
    if isinstance(event, dict) and "Records" in event:
        return [record["body"] for record in event["Records"]]
    return [text]


def send(stack: Stack, body: str) -> str:
    """Put a message on BackupEventsQueue; its id."""
    response = stack.client("sqs").send_message(QueueUrl=stack.outputs["BackupEventsQueueUrl"], MessageBody=body)
    return str(response["MessageId"])


def samples() -> Iterator[str]:
    """The bodies of the four sample messages."""
    for name in SAMPLES:
        yield from read(str(EVENTS / f"{name}.json"))
