"""Patches of moto's DynamoDB: conditional writes are atomic as in DynamoDB, and it needs less memory and time."""

from __future__ import annotations

import copy
import functools
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from moto.core.common_models import BaseModel
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, expressions, validators
from moto.dynamodb.responses import DynamoHandler


@functools.cache
def make_atomic() -> None:
    """Make moto answer one request at a time.

    moto checks a condition before it writes, so the condition would be met for two requests at the same time.
    """
    call_action, lock = DynamoHandler.call_action, threading.Lock()

    @functools.wraps(call_action)
    def locked_call_action(handler: DynamoHandler) -> Any:
        with lock:
            return call_action(handler)

    DynamoHandler.call_action = locked_call_action  # type: ignore[method-assign]


@functools.cache
def make_forgetful() -> None:
    """Stop moto from listing all objects ever made, which it does for its dashboard: the list grows to gigabytes."""

    def new(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(cls)

    BaseModel.__new__ = new  # type: ignore[method-assign]


@functools.cache
def make_transactions_quick() -> None:
    """Make a transaction copy only the items that it touches, for its rollback; moto deep-copies each table.

    This needs `make_atomic`, by which there is one transaction at a time.
    """
    transact = DynamoDBBackend.transact_write_items
    # By partition: the sort keys, None in a table without one.
    touched: dict[DynamoType, list[DynamoType | None]] = defaultdict(list)

    def transact_noting_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        touched.clear()
        for operation in (operation for item in transact_items for operation in item.values()):
            if table := backend.tables.get(operation["TableName"]):
                item = operation.get("Key", operation.get("Item", {}))
                sort_key = DynamoType(item.get(table.range_key_attr)) if table.range_key_attr else None
                touched[DynamoType(item.get(table.hash_key_attr))].append(sort_key)
        transact(backend, transact_items)

    def copy_touched(table: Table, memo: dict[int, Any]) -> Table:
        backup = copy.copy(table)
        backup.items = copy.copy(table.items)
        for partition in touched.keys() & table.items.keys():
            items = table.items[partition]
            if isinstance(items, Item):
                backup.items[partition] = copy.deepcopy(items, memo)
                continue
            backup.items[partition] = dict(items) | {
                sort_key: copy.deepcopy(items[sort_key], memo) for sort_key in touched[partition] if sort_key in items
            }
        return backup

    DynamoDBBackend.transact_write_items = transact_noting_items  # type: ignore[method-assign, assignment]
    Table.__deepcopy__ = copy_touched  # type: ignore[attr-defined]


@functools.cache
def make_updates_quick() -> None:
    """Make moto parse each update expression once, and look at each node once for each rule.

    moto parses and deep-copies the expression at each call, and some of its rules walk the whole tree from each node.
    An update takes a quarter of the time without that.
    """
    parser: Any = expressions.UpdateExpressionParser  # type: ignore[attr-defined]
    parser.make = functools.cache(parser.make)
    validators.deepcopy = _copy_of  # type: ignore[attr-defined, assignment]
    ast_nodes.DepthFirstTraverser.traverse = _traverse  # type: ignore[attr-defined]
    # These two find all clauses and paths from the root.
    validators.ActionCountValidator.traverse = lambda rule, root: rule.verify_action_counts(root)
    validators.OverlappingPathsValidator.traverse = lambda rule, root: rule.check_for_overlapping_paths(root)


@functools.cache
def _pickled(tree: Any) -> bytes:
    return pickle.dumps(tree)


def _copy_of(value: Any) -> Any:
    """Return a deep copy: of a tree, which is never changed itself, by what was pickled once."""
    if type(value) is expressions.UpdateExpression:  # type: ignore[attr-defined]
        return pickle.loads(_pickled(value))  # noqa: S301 - pickled by this process
    return copy.deepcopy(value)


def _traverse(rule: Any, root: Any) -> Any:
    """Apply the rule to the nodes of its kinds, children first. Return the new root."""
    steps: dict[type, Callable[[Any], Any]] = rule._processing_map()
    found: dict[type, Callable[[Any], Any] | None] = {}

    def step_of(kind: type) -> Callable[[Any], Any] | None:
        if kind not in found:
            found[kind] = next((step for of, step in steps.items() if issubclass(kind, of)), None)
        return found[kind]

    def walk(node: Any, place: int) -> Any:
        if not hasattr(node, "parent"):
            return node
        parent = node.parent
        for its_place, child in enumerate(node.children or ()):
            rule.pre_processing_of_child(node, its_place)
            walk(child, its_place)
        if step := step_of(type(node)):
            node = step(node)
            node.parent = parent
            if parent:
                parent.children[place] = node
        return node

    return walk(root, -1)


def empty_tables(region: str | None = None) -> None:
    """Remove all items from moto's tables, or from those of a region.

    moto reads a whole table for each index query, so old items cost time.
    """
    for account in dynamodb_backends.values():
        for name, backend in account.items():
            for table in backend.tables.values() if region in (None, name) else ():
                table.items.clear()
