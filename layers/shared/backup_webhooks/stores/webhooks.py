"""WebhooksTable: the targets that customers have set. Partition `account`, sort key `target`: `{event}#{targetId}`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backup_webhooks.messages import WebhookEvent
from backup_webhooks.stores.items import from_item, to_item
from backup_webhooks.targets import DeliveryMode, Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 30.0
# A bound on memory, far above the accounts that one function meets in 30 s.
MAX_ACCOUNTS = 1000


@dataclass(frozen=True, slots=True)
class WebhooksStore:
    """Reads and writes targets. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Sequence[Target]:
        """All targets of the account, in the order of their keys: one query for up to 1 MiB of them."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="account = :account",
            ExpressionAttributeValues=to_item({":account": account}),
        )
        return [_target(from_item(item)) for page in pages for item in page["Items"]]

    def put(self, target: Target) -> None:
        """Store the target, in place of one with the same URL for the same event."""
        self.client.put_item(
            TableName=self.table,
            Item=to_item(
                {
                    "account": target.account,
                    "target": f"{target.event}#{target.target_id}",
                    "url": target.url,
                    "format": target.format,
                    "delivery": str(target.delivery),
                    "enabled": target.enabled,
                }
            ),
        )


def _target(fields: dict[str, Any]) -> Target:
    event, _, _ = fields["target"].partition("#")
    return Target(
        account=fields["account"],
        event=WebhookEvent(event),
        url=fields["url"],
        format=fields["format"],
        delivery=DeliveryMode(fields["delivery"]),
        enabled=fields["enabled"],
    )


class WebhooksCache:
    """What `of_account` answered, kept for 30 s a function: a burst of an account's backups reads its targets once.

    Shared by threads: while one of them asks for an account, the others that need the same account wait for its
    answer in place of asking too. A failed question is not kept. `clock` answers in seconds.
    """

    def __init__(self, of_account: Callable[[str], Sequence[Target]], clock: Callable[[], float] = time.time) -> None:
        self._of_account = of_account
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Future[Sequence[Target]]]] = {}

    def targets(self, account: str, event: WebhookEvent) -> Sequence[Target]:
        """The targets that the event is to be posted to now: those of the account that are switched on."""
        return [target for target in self._answer(account) if target.event is event and target.enabled]

    def _answer(self, account: str) -> Sequence[Target]:
        now = self._clock()
        with self._lock:
            asked_at, answer = self._answers.get(account, (-KEPT_SECONDS, None))
            if answer and 0 <= now - asked_at < KEPT_SECONDS:
                ask = False
            else:
                ask, answer = True, Future()
                if len(self._answers) >= MAX_ACCOUNTS:
                    self._answers.clear()
                self._answers[account] = now, answer
        if ask:
            try:
                answer.set_result(self._of_account(account))
            except Exception as error:
                with self._lock:
                    if self._answers.get(account) == (now, answer):
                        del self._answers[account]
                answer.set_exception(error)
        return answer.result()
