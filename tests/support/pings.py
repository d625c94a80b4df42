"""A script with a ping URL: its calls through the real handler, and their messages on the queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from local.http_api import request_event
from local.stack import Stack
from local.template import HttpRoute
from tests.support.api import Answer, Client, of_account
from tests.support.messages import Context
from tests.support.policies import at

ROUTE = HttpRoute("ANY /p/{proxy+}", "PingFunction", authorized=False)
NIGHTLY = {"serverId": "fileserver", "accountPolicyName": "Nightly restic", "backupSchedule": "0 0 1 * * ?"}


def made(client: Client, account: str, **changes: Any) -> dict[str, Any]:
    """Make a ping key and return the API's answer."""
    body = {name: value for name, value in (NIGHTLY | changes).items() if value is not None}
    answer = client.post(of_account(account, "pingKeys"), body, host="ping.example")
    assert answer.status == 201, answer.text
    return dict(answer.json)


@dataclass(frozen=True)
class Script:
    """A script that calls the real `handler`, which sends to `queue`, with no other reader."""

    handler: Any
    stack: Stack
    queue: str

    def call(
        self,
        path: str,
        *,
        on: str | datetime = "12-20 01:00",
        body: bytes = b"",
        method: str = "POST",
    ) -> Answer:
        """Return the answer to a request for a path (and query) that the gateway got at that time."""
        timestamp = at(on) if isinstance(on, str) else on
        event = request_event(ROUTE, method, path, {"host": "ping.example"}, body, None, timestamp)
        answer = self.handler(event, Context(function_name="PingFunction"))
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def ping(self, url: str, step: str = "", **call: Any) -> Answer:
        """Return the answer to a call of the ping URL, with `step` behind it."""
        return self.call(urlsplit(url).path + step, **call)

    def messages(self) -> list[dict[str, Any]]:
        """Empty the queue and return its messages, in no order."""
        return taken_off(self.stack, self.queue)


def taken_off(stack: Stack, queue: str) -> list[dict[str, Any]]:
    """Empty the queue and return its messages."""
    sqs, found = stack.client("sqs"), []
    while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in batch:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found
