"""Messages to put on the queue: from files in events/, from JSON, or made up for the demo."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.stack import Stack
from local.template import PROJECT

EVENTS = PROJECT / "events"
ACCOUNT = "TEST"
# One a webhook event, with the facts of the FAQ's examples.
SAMPLES = ("backup-failed", "backup-partial-success", "backup-missed", "backup-success")

_SERVERS = ("IL1TESTWEB01", "IL1TESTDB01", "CA3TESTMAIL", "GB3TESTFILES", "VA1TESTBUILD")
_STATUSES = ("SUCCESS",) * 7 + ("PARTIAL_SUCCESS", "FAILED", "CANCELLED")


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


def simulated(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Backups of a made-up account, without end: each a start and, for most, its result."""
    while True:
        server = chance.choice(_SERVERS)
        finished = datetime.now(UTC)
        started = {
            "type": "BackupStarted",
            "accountAlias": ACCOUNT,
            "serverId": server,
            "serverPolicyId": str(uuid.uuid5(uuid.NAMESPACE_DNS, server)),
            "accountPolicyId": "0b2a1c9e-6f0e-4a55-9d8f-6c1f2f8f0b11",
            "accountPolicyName": "Nightly",
            "storageRegion": "US WEST",
            "backupStartedDate": (finished - timedelta(minutes=chance.randint(1, 50))).isoformat(),
        }
        yield started
        yield started | {
            "type": "BackupFinished",
            "restorePointId": str(uuid.UUID(int=chance.getrandbits(128))),
            "restorePointCreationStatus": chance.choice(_STATUSES),
            "backupFinishedDate": finished.isoformat(),
        }
