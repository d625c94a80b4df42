"""Messages to send to the queue, from files in events/ or from JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import Message, ServerPolicyChanged, parse_message
from backup_webhooks.monitoring.server_policy import ServerPolicy

from local.stack import Stack
from local.template import PROJECT

EVENTS = PROJECT / "events"
# One for each event type of the FAQ, with the facts of its examples.
SAMPLES = ("backup-failed", "backup-partial-success", "backup-missed", "backup-success")
_QUEUE = "BackupEventsQueue"
_FUNCTIONS = {
    "RetryQueue": "RedelivererFunction",
    "ReportsQueue": "DailyReportFunction",
    "EmailNoticesQueue": "EmailNoticesFunction",
}


class NotSendable(ValueError):
    """Text that holds no messages of BackupEventsQueue. The error says what it is, or which field is at fault."""


def read(path: str) -> list[str]:
    """Return the message bodies in a file of events/."""
    return [record["body"] for record in json.loads(Path(path).read_text())["Records"]]


def bodies_in(text: str) -> Sequence[str]:
    """Return the message bodies in a text: one message, or a Lambda event of the queue. Raise `NotSendable`."""
    try:
        event = json.loads(text)
    except ValueError as error:
        raise NotSendable(f"not JSON: {error}") from None
    match event:
        case {"Records": [*records]}:
            return [_body(record) for record in records]
        case {"source": "aws.backup"} | {"task": _}:
            raise NotSendable("an event of AWS Backup: give it to `python -m local aws-backup`")
        case {"rawPath": str(path)}:
            raise _for_function("PingFunction" if path.startswith("/p/") else "WebhooksApiFunction")
        case {"time": _, **more} if not more:
            raise _for_function("MissedBackupsFunction` or `DailyReportFunction")
    return [text]


def _body(record: Any) -> str:
    match record:
        case {"eventSource": "aws:sqs", "eventSourceARN": str(arn), "body": str(body)}:
            queue = arn.rpartition(":")[2]
            if queue == _QUEUE:
                return body
            raise _for_function(_FUNCTIONS.get(queue, f"<the function of {queue}>"))
    raise NotSendable(f"a Lambda event whose records are not messages of {_QUEUE}")


def _for_function(function: str) -> NotSendable:
    return NotSendable(f"a Lambda event, not a message: give it to `sam local invoke {function}`")


def check_all(bodies: Sequence[str]) -> list[Message]:
    """Return the parsed messages. Raise `NotSendable`, which names the field, for the first that cannot be used."""
    checked = []
    for number, body in enumerate(bodies, 1):
        try:
            checked.append(check(body))
        except InvalidMessage as error:
            which = f"message {number} of {len(bodies)}: " if len(bodies) > 1 else ""
            raise NotSendable(f"{which}{error}") from None
    return checked


def check(body: str) -> Message:
    """Return the parsed message. Raise `InvalidMessage` if the service would refuse it."""
    message = parse_message(body)
    if isinstance(message, ServerPolicyChanged):
        ServerPolicy.of(message)
    return message


def counted(parsed: Sequence[Message]) -> str:
    """Return text such as `1 BackupStarted, 2 BackupFinished`."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(type(message).__name__ for message in parsed).items())


def send(stack: Stack, body: str) -> str:
    """Send a message to BackupEventsQueue. Return its id."""
    response = stack.client("sqs").send_message(QueueUrl=stack.outputs[f"{_QUEUE}Url"], MessageBody=body)
    return str(response["MessageId"])


def samples() -> Iterator[str]:
    """Yield the bodies of the four sample messages."""
    for name in SAMPLES:
        yield from read(str(EVENTS / f"{name}.json"))
