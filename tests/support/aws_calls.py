"""The AWS calls that the functions make: how to count them, and how many there are.

`CALLS` is the one place for the numbers. tests/integration/project/test_ratchet.py compares the functions with them,
and `make bench cost` counts them again for the service's cost. `python -m tests.support.aws_calls` prints them as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backup_webhooks.aws import clients

type Calls = Mapping[str, int]
"""How often each action is called, by `service:Action`."""

_DELIVERY = {"dynamodb:UpdateItem": 2}  # the claim, and the attempt result
_TARGETS = {"dynamodb:Query": 1}  # the account's targets, kept for 30 s
_KEPT = {"dynamodb:PutItem": 1}  # the backup, for reports
_LOG = {"dynamodb:PutItem": 1}  # the backup output, beside the backup
_POLICY = {"dynamodb:GetItem": 1, "dynamodb:PutItem": 1}  # the server policy, read and written
_GROUPED = {"dynamodb:TransactWriteItems": 1, "dynamodb:GetItem": 1}
_PASSED_TO_EMAIL = {"sqs:SendMessage": 1}


def _sum(*some: Calls) -> Calls:
    total: Counter[str] = Counter()
    for calls in some:
        total.update(calls)
    return dict(total)


CALLS: Mapping[str, Calls] = {
    "a success, without a target": _sum(_TARGETS, _KEPT, _POLICY),
    "a success with a log, without a target": _sum(_TARGETS, _KEPT, _LOG, _POLICY),
    "a success, posted": _sum(_TARGETS, _KEPT, _POLICY, _DELIVERY),
    "a failure, posted, where no e-mail is sent": _sum(_TARGETS, _KEPT, _POLICY, _DELIVERY),
    "a failure, posted, where e-mail is sent": _sum(_TARGETS, _KEPT, _POLICY, _DELIVERY, _PASSED_TO_EMAIL),
    "a second target of the same event": _DELIVERY,
    "a success that ends a failure, posted": _sum(_TARGETS, _KEPT, _POLICY, _DELIVERY, {"sqs:SendMessage": 1}),
    "a recovery, posted": _sum(_TARGETS, _DELIVERY),
    # Reads what was sent last, and what became of that.
    "a failure that is suppressed, where no e-mail is sent": _sum(
        _TARGETS, _KEPT, _POLICY, {"dynamodb:UpdateItem": 1, "dynamodb:GetItem": 2}
    ),
    # Written in the log and beside it in one transaction. A read then shows whether a message for the group is sent.
    "a miss that is grouped with others, where no e-mail is sent": _sum(_TARGETS, _KEPT, _GROUPED),
    "the first miss of a group, where no e-mail is sent": _sum(
        _TARGETS, _KEPT, _GROUPED, {"dynamodb:GetItem": 1, "dynamodb:UpdateItem": 1, "sqs:SendMessage": 1}
    ),
    # Reads before and after. The group's message is recorded, and its entries are removed.
    "ten misses that are sent as a group": {
        **_TARGETS,
        "dynamodb:GetItem": 2,
        "dynamodb:Query": 3,
        "dynamodb:UpdateItem": 2,
        "dynamodb:TransactWriteItems": 1,
        "sqs:SendMessage": 1,
    },
    # What was sent last, read and written; the reminder, its message, and the record that this is the current one.
    "a failure that is posted and has a reminder": _sum(
        _TARGETS,
        _KEPT,
        _POLICY,
        _DELIVERY,
        {"dynamodb:GetItem": 1, "dynamodb:PutItem": 1, "dynamodb:UpdateItem": 2, "sqs:SendMessage": 1},
    ),
    "a reminder": _sum(_TARGETS, {"dynamodb:GetItem": 2, "dynamodb:UpdateItem": 1, "sqs:SendMessage": 2}),
    "a reminder that waits": {"dynamodb:GetItem": 1, "sqs:SendMessage": 1, "sqs:DeleteMessage": 1},
    "a cancelled backup": _sum(_KEPT, _POLICY),
    "a start": _POLICY,
    "ten successes of one account, posted, in one batch": _sum(
        _TARGETS, *[_sum(_KEPT, _POLICY, _DELIVERY) for _ in range(10)]
    ),
    "a miss, posted, where e-mail is sent": _sum(_TARGETS, _KEPT, _DELIVERY, _PASSED_TO_EMAIL),
    "a heartbeat that is read": {"dynamodb:UpdateItem": 1},
    "a tick with nothing due": {
        "dynamodb:Query": 16,
        "dynamodb:GetItem": 1,
        "dynamodb:UpdateItem": 1,
        "sqs:SendMessage": 1,
    },
    "ten misses of one shard in a tick, beyond one with nothing due": {
        "dynamodb:BatchGetItem": 1,
        "dynamodb:PutItem": 10,
        "sqs:SendMessageBatch": 1,
    },
    "a retry that arrives": _sum(_TARGETS, _DELIVERY, {"dynamodb:UpdateItem": 1}),
    "a retry that fails and is repeated": _sum(_TARGETS, _DELIVERY, {"dynamodb:UpdateItem": 1}, {"sqs:SendMessage": 1}),
    # The known state, the message before and after it is sent, and the newest job of its rule and resource.
    "a job of AWS Backup, its start": {"dynamodb:BatchGetItem": 1, "dynamodb:UpdateItem": 3, "sqs:SendMessage": 1},
    "a job of AWS Backup, its end": {"dynamodb:BatchGetItem": 1, "dynamodb:UpdateItem": 2, "sqs:SendMessage": 1},
    "an event of AWS Backup that is no news": {"dynamodb:BatchGetItem": 1},
    "a reconciliation of a hundred jobs that are no news": {
        "backup:ListBackupJobs": 2,
        "dynamodb:BatchGetItem": 3,
        "dynamodb:UpdateItem": 1,
    },
    "a ping": {"dynamodb:UpdateItem": 1, "sqs:SendMessage": 1},
    # Each tenth ping, or each ping of a key that is used ten times an hour.
    "a ping that finds ten remembered": {"dynamodb:UpdateItem": 2, "sqs:SendMessage": 1},
    "the page's webhooks": {"dynamodb:Query": 1},
    # One for each day in the log's retention, until a page is full.
    "the page's deliveries, of an account that had none of late": {"dynamodb:Query": 32},
    "the page's servers and their chart": {"dynamodb:Query": 2, "dynamodb:BatchGetItem": 1},
}


@dataclass
class AwsCalls:
    """The calls: actions, and for DynamoDB the items that were read and the capacity."""

    actions: Counter[str] = field(default_factory=Counter)
    items_read: int = 0
    capacity: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the calls of the functions' own clients while it is entered."""
        made = [clients.dynamodb(), clients.sqs(), clients.sesv2(), clients.backup()]
        hooks = [
            ("provide-client-params.dynamodb", _ask_for_capacity),
            ("before-call", self._before),
            ("after-call.dynamodb", self._after),
        ]
        for client in made:
            for event, hook in hooks:
                client.meta.events.register(event, hook)
        try:
            yield
        finally:
            for client in made:
                for event, hook in hooks:
                    client.meta.events.unregister(event, hook)

    def _before(self, model: Any, **_: Any) -> None:
        # A call that botocore retries counts once here, though DynamoDB and SQS charge for each try.
        self.actions[f"{model.service_model.service_name}:{model.name}"] += 1

    def _after(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.items_read += parsed.get("ScannedCount", 0)
        consumed = parsed.get("ConsumedCapacity", {})
        for one in consumed if isinstance(consumed, list) else [consumed]:
            self.capacity[model.name] += one.get("CapacityUnits", 0)


def _ask_for_capacity(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return params | {"ReturnConsumedCapacity": "TOTAL"}


if __name__ == "__main__":
    print(json.dumps(CALLS, indent=2))
