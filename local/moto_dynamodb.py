"""moto's DynamoDB, made to keep DynamoDB's word that a conditional write is one step, and to forget what is over."""

from __future__ import annotations

import functools
import threading
from typing import Any

from moto.core.common_models import BaseModel
from moto.dynamodb.models import dynamodb_backends
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
    """Keep no list of all that ever was, which moto has for its dashboard: each transaction copies whole tables, and
    a thousand of them are gigabytes that nobody looks at.
    """

    def new(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(cls)

    BaseModel.__new__ = new  # type: ignore[method-assign]


def empty_tables() -> None:
    """Take all items out of moto's tables. It copies a table for each transaction and reads all of it for each query of
    an index: what is left there makes all that follows slower.
    """
    for account in dynamodb_backends.values():
        for region in account.values():
            for table in region.tables.values():
                table.items.clear()
