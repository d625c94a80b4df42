"""Small factories of messages and of the Lambda event around them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backup_webhooks.events.timestamps import epoch_milliseconds

_DATES = ("changedDate", "backupFinishedDate", "backupStartedDate", "expectedDate")


def finished(account: str, **changes: Any) -> str:
    """Return the body of a BackupFinished of the account, with a restore point of its own."""
    return json.dumps(
        {
            "type": "BackupFinished",
            "accountAlias": account,
            "serverId": "IL1TESTWEB01",
            "serverPolicyId": "b2b8ad1a-5d02-4f5b-9c3c-3d5f8d1f6a01",
            "accountPolicyId": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
            "accountPolicyName": "Nightly",
            "storageRegion": "US WEST",
            "backupStartedDate": "2018-12-20T01:00:00Z",
            "restorePointId": str(uuid.uuid4()),
            "restorePointCreationStatus": "FAILED",
            "backupFinishedDate": "2018-12-20T01:39:38Z",
        }
        | changes
    )


def missed(account: str, server_policy_id: str = "sp-1") -> str:
    """Return the body of a BackupMissed of the account."""
    return json.dumps(
        {
            "type": "BackupMissed",
            "accountAlias": account,
            "serverId": "IL1TESTWEB01",
            "serverPolicyId": server_policy_id,
            "accountPolicyId": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
            "accountPolicyName": "Nightly",
            "storageRegion": "US WEST",
            "expectedDate": "2018-12-20T05:00:00Z",
        }
    )


def sqs_event(*bodies: str, sent_at: datetime | None = None) -> dict[str, Any]:
    """Return a batch of records `message-0`, `message-1`, … with these bodies, sent then, or at the dates in them."""
    return {
        "Records": [
            {
                "messageId": f"message-{position}",
                "receiptHandle": f"receipt-{position}",
                "body": body,
                "eventSource": "aws:sqs",
                "attributes": {"SentTimestamp": str(epoch_milliseconds(sent_at or _date_in(body)))},
            }
            for position, body in enumerate(bodies)
        ]
    }


def _date_in(body: str) -> datetime:
    try:
        message = json.loads(body)
        date = next(message[name] for name in _DATES if name in message)
        return datetime.fromisoformat(date).astimezone(UTC)
    except (ValueError, TypeError, StopIteration, OverflowError):
        return datetime.now(UTC)


def failed_ids(response: dict[str, Any]) -> list[str]:
    """Return the ids of the records that a batch's answer reports as failed."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


@dataclass
class Context:
    """The part of Lambda's context object that the functions use."""

    remaining_milliseconds: int = 60_000
    function_name: str = "NotifierFunction"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:NotifierFunction"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_milliseconds
