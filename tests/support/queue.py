"""BackupEventsQueue, read by a test."""

from __future__ import annotations

import json
from typing import Any

from local.poller import sqs_record
from local.stack import Stack


def queued(stack: Stack) -> list[dict[str, Any]]:
    """Empty the queue, and return its messages."""
    sqs, url = stack.client("sqs"), stack.outputs["BackupEventsQueueUrl"]
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            bodies.append(json.loads(sqs_record(message)["body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies
