"""A script with a ping URL: its calls through the real handler, and what they put on the queue."""

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
    """A new ping key, as the API tells of it."""
    body = {name: value for name, value in (NIGHTLY | changes).items() if value is not None}
    answer = client.post(of_account(account, "pingKeys"), body, host="ping.example")
    assert answer.status == 201, answer.text
    return dict(answer.json)


@dataclass(frozen=True)
class Script:
    """Calls `handler`, the function's own; what it says is on the queue `queue`, which nobody else reads."""

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
        """A request for a path (and query), as the gateway got it at that time."""
        timestamp = at(on) if isinstance(on, str) else on
        event = request_event(ROUTE, method, path, {"host": "ping.example"}, body, None, timestamp)
        answer = self.handler(event, Context(function_name="PingFunction"))
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def ping(self, url: str, step: str = "", **call: Any) -> Answer:
        """A call of the ping URL, with what is put behind it."""
        return self.call(urlsplit(url).path + step, **call)

    def messages(self) -> list[dict[str, Any]]:
        """All that is on the queue now, in no order; it is empty then."""
        return taken_off(self.stack, self.queue)


def taken_off(stack: Stack, queue: str) -> list[dict[str, Any]]:
    """All messages that the queue has, which it has no longer."""
    sqs, found = stack.client("sqs"), []
    while some := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for one in some:
            found.append(json.loads(one["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    return found
