"""The AWS calls that the functions make in this process, compared with the rights of the functions' roles.

moto enforces policies only by their actions, not by their resources. Like `tests.support.aws_calls`, this gets each
call by an event of botocore.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parseaddr
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from tests.support.roles import AT, Ask, Right, Roles

# A transaction has no right of its own. It needs the rights for the writes in it.
_IN_TRANSACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


class Access:
    """`used`: the requests that were allowed, by role. `denied`: the others, in words."""

    def __init__(self, roles: Roles) -> None:
        self.roles = roles
        self.used: defaultdict[str, set[Ask]] = defaultdict(set)
        self.denied: list[str] = []
        self._running: list[str] = []
        self._queues: dict[tuple[str, str], str] = {}

    @contextmanager
    def running(self, function: str) -> Iterator[None]:
        """While it is entered, the function's handler runs: calls by boto3's default session are the function's."""
        assert {function} >= set(self._running), f"{function} beside {self._running}: whose calls are they?"
        # A queue of the test's own stands for the template's queue in the same variable.
        for variable, arn in self.roles.queue_variables(function).items():
            if url := os.environ.get(variable):
                known = self._queues.setdefault((function, url), arn)
                assert known == arn, f"{variable} is the URL of {known} too: which queue is meant?"
        self._running.append(function)
        try:
            yield
        finally:
            self._running.remove(function)

    def check(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """A hook for botocore's `before-parameter-build`. Raise `ClientError`, as AWS does, if it is not allowed."""
        if not self._running:
            return
        function = self._running[-1]
        role = self._of_functions[function]
        for ask in self._asks(function, model.service_model.service_name, model.name, params):
            if not any(right.covers(ask) for right in self._rights[role]):
                # It is recorded too, as the function may handle the error like a fault of AWS.
                self.denied.append(f"{function} is not allowed {ask}")
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": self.denied[-1]}}, model.name)
            self.used[role].add(ask)

    def take_denied(self) -> list[str]:
        """Return the denied calls since the last time."""
        denied, self.denied = self.denied, []
        return denied

    def unused(self) -> list[str]:
        """Return the rights that no function has used so far, and that AWS itself never uses."""
        used = defaultdict(set, {role: set(asks) for role, asks in self.used.items()})
        for role, ask in self.roles.used_by_aws():
            used[role].add(ask)
        return [
            f"{role}: {right.action} on {right.resource}"
            for role, rights in sorted(self._rights.items())
            for right in rights
            if not any(map(right.covers, used[role]))
        ]

    @cached_property
    def _of_functions(self) -> dict[str, str]:
        return self.roles.of_functions()

    @cached_property
    def _rights(self) -> dict[str, list[Right]]:
        return {role: self.roles.rights(role) for role in self.roles.names()}

    def _asks(self, function: str, service: str, operation: str, params: Mapping[str, Any]) -> list[Ask]:
        match service:
            case "dynamodb":
                return _of_dynamodb(operation, params)
            case "sqs":
                queue = self._queues.get((function, params["QueueUrl"]), params["QueueUrl"])
                return [Ask(f"sqs:{operation.removesuffix('Batch')}", queue)]
            case "sesv2":
                return [_of_ses(operation, params)]
            case "backup" if "BackupPlanId" in params:
                return [Ask(f"backup:{operation}", f"arn:aws:backup:{AT}:backup-plan:{params['BackupPlanId']}")]
        return [Ask(f"{service}:{operation}")]


def _of_dynamodb(operation: str, params: Mapping[str, Any]) -> list[Ask]:
    match operation:
        case "TransactWriteItems":
            writes = [next(iter(write.items())) for write in params["TransactItems"]]
            return [_on_table(_IN_TRANSACTIONS[kind], one["TableName"]) for kind, one in writes]
        case "BatchGetItem" | "BatchWriteItem":
            return [_on_table(operation, table) for table in params["RequestItems"]]
    index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
    return [_on_table(operation, params["TableName"] + index)]


def _on_table(operation: str, table: str) -> Ask:
    return Ask(f"dynamodb:{operation}", f"arn:aws:dynamodb:{AT}:table/{table}")


def _of_ses(operation: str, params: Mapping[str, Any]) -> Ask:
    _, sender = parseaddr(params["FromEmailAddress"])
    # SES checks the right of its first API for raw e-mail.
    action = "SendRawEmail" if "Raw" in params["Content"] else operation
    # In the tests' stack EmailIdentity is empty, so the identity is the address.
    return Ask(f"ses:{action}", f"arn:aws:ses:{AT}:identity/{sender}", frozenset({("ses:FromAddress", sender)}))
