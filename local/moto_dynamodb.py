"""moto's DynamoDB, made to keep DynamoDB's word that a conditional write is one step, and no more than is needed."""

from __future__ import annotations

import copy
import functools
import threading
from typing import Any

from moto.core.common_models import BaseModel
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler


@functools.cache
def make_atomic() -> None:
    """Let requests be answered one at a time: moto looks at the condition, and writes then, and the requests of two
    functions would both find it met.
    """
    answer, lock = DynamoHandler.call_action, threading.Lock()

    @functools.wraps(answer)
    def alone(handler: DynamoHandler) -> Any:
        with lock:
            return answer(handler)

    DynamoHandler.call_action = alone  # type: ignore[method-assign]


@functools.cache
def make_forgetful() -> None:
    """Keep no list of all that ever was, which moto has for its dashboard: gigabytes that nobody looks at."""

    def new(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(cls)

    BaseModel.__new__ = new  # type: ignore[method-assign]


@functools.cache
def make_transactions_quick() -> None:
    """Let a transaction keep, to go back to, what it touches; moto keeps a deep copy of each table. Relies on
    `make_atomic`: there is one transaction at a time.
    """
    transact = DynamoDBBackend.transact_write_items
    touched: set[DynamoType] = set()

    def with_partitions(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        touched.clear()
        for operation in (operation for item in transact_items for operation in item.values()):
            if table := backend.tables.get(operation["TableName"]):
                touched.add(DynamoType(operation.get("Key", operation.get("Item", {})).get(table.hash_key_attr)))
        transact(backend, transact_items)

    def before(table: Table, memo: dict[int, Any]) -> Table:
        kept = copy.copy(table)
        kept.items = copy.copy(table.items)
        for partition in touched & table.items.keys():
            kept.items[partition] = copy.deepcopy(table.items[partition], memo)
        return kept

    DynamoDBBackend.transact_write_items = with_partitions  # type: ignore[method-assign, assignment]
    Table.__deepcopy__ = before  # type: ignore[attr-defined]


def empty_tables() -> None:
    """Take all items out of moto's tables. It reads a whole table for each query of an index: what is left there makes
    all that follows slower.
    """
    for account in dynamodb_backends.values():
        for region in account.values():
            for table in region.tables.values():
                table.items.clear()
