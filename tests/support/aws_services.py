"""DynamoDB and SQS as services of a `FaultProxy`, in this process: moto's tables, and queues in the test's time."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from moto.core.request import normalize_request
from moto.dynamodb.responses import DynamoHandler

from tests.support.fault_proxy import Answer
from tests.support.memory import MemoryQueue

# moto keeps a world a region, and this one is no other test's.
REGION = "eu-central-1"
_DYNAMODB = f"https://dynamodb.{REGION}.amazonaws.com/"


def moto_dynamodb(operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
    """moto's DynamoDB without its web server, which takes as long again as the call."""
    request = AWSPreparedRequest("POST", _DYNAMODB, dict(headers), json.dumps(parameters).encode(), False)
    status, _, body = DynamoHandler.dispatch(normalize_request(request), _DYNAMODB, request.headers)
    return int(status), body.encode() if isinstance(body, str) else body


class MemorySqs:
    """SQS's side of its JSON protocol, as far as functions send. `queues` by the last part of their URLs.

    `accepted`: all that was ever taken, by queue.
    """

    def __init__(self, queues: Mapping[str, MemoryQueue]) -> None:
        self.queues = queues
        self.accepted: dict[str, list[str]] = {name: [] for name in queues}

    def __call__(self, operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        name = parameters["QueueUrl"].rpartition("/")[2]
        match operation:
            case "SendMessage":
                answer = self._take(name, parameters)
            case "SendMessageBatch":
                taken = [{"Id": entry["Id"]} | self._take(name, entry) for entry in parameters["Entries"]]
                answer = {"Successful": taken, "Failed": []}
            case _:
                raise NotImplementedError(operation)
        return 200, json.dumps(answer).encode()

    def _take(self, name: str, entry: Mapping[str, Any]) -> dict[str, str]:
        body = entry["MessageBody"]
        self.queues[name].send_message(QueueUrl=name, MessageBody=body, DelaySeconds=entry.get("DelaySeconds", 0))
        self.accepted[name].append(body)
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}
