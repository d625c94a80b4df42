"""A patch of moto's DynamoDB: a query takes the time of the items that it returns. The answers stay the same.

moto sorts a whole table twice for each query and walks through it from its beginning to the page. With 5,000 server
policies that took longer than the functions wait for an answer.
"""

from __future__ import annotations

import functools
import inspect
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.dynamodb.models.dynamo_type import DDBType, DynamoType, Item
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

_HASH_AND_RANGE = 2


@functools.cache
def make_queries_quick() -> None:
    """Make moto's query look only at the items that it returns, and at the next, by which it knows that more follow."""
    query = Table.query
    parameters = inspect.signature(query)

    @functools.wraps(query)
    def query_few(table: Table, *given: Any, **named: Any) -> Any:
        few = _few(table, parameters.bind(table, *given, **named).arguments)
        if few is None:
            return query(table, *given, **named)
        view = object.__new__(type(table))
        by_place = dict(enumerate(few))
        # Under any keys: a query looks at the items alone.
        vars(view).update(vars(table), items={0: by_place} if table.range_key_attr else by_place)
        return query(view, *given, **named)

    Table.query = query_few  # type: ignore[assignment, method-assign]


def _few(table: Table, query: Mapping[str, Any]) -> Sequence[Item] | None:
    """Return the items that matter to a query with these arguments, or None for a query of an unusual kind."""
    index_name, hash_key, start = query.get("index_name"), query["hash_key"], query["exclusive_start_key"]
    index = next((index for index in table.all_indexes() if index.name == index_name), None)
    keys = index.schema_key_attrs if index else table.table_key_attrs
    if bool(index_name) != bool(index) or len(keys) != _HASH_AND_RANGE or query.get("filter_kwargs"):
        return None
    hash_name, range_name = keys
    names = list(dict.fromkeys([range_name, *table.table_key_attrs]))
    if hash_key is None or (start and not (start.keys() >= set(names) and DynamoType(start[hash_name]) == hash_key)):
        return None
    if index:
        items = [item for item in _stored(table) if _has(item, hash_name, hash_key) and range_name in item.attrs]
    else:
        items = list(table.items.get(hash_key, {}).values())
    items = _from_start(items, names, start, forward=query["scan_index_forward"])
    return _first_page(_in_range(items, range_name, query), query["limit"])


def _stored(table: Table) -> Iterator[Item]:
    if not table.range_key_attr:
        return iter(table.items.values())  # type: ignore[arg-type] # moto's own type fits tables with a range key
    return (item for partition in table.items.values() for item in partition.values())


def _has(item: Item, name: str, value: DynamoType) -> bool:
    known = item.attrs.get(name)
    # Text first: a comparison of two of moto's values takes ten times as long as that of their text.
    return known is not None and (known.value == value.value or known.type == DDBType.NUMBER) and known == value


def _from_start(items: list[Item], names: list[str], start: Mapping[str, Any] | None, *, forward: bool) -> list[Item]:
    """Return the items in the order of these attributes, without those up to the start key."""

    def key(attributes: Mapping[str, DynamoType]) -> list[Any]:
        values = [attributes[name] for name in names]
        return [value.value if value.type == DDBType.STRING else value.cast_value for value in values]

    items.sort(key=lambda item: key(item.attrs))
    if start:
        of_start = key({name: DynamoType(start[name]) for name in names})
        if forward:
            items = items[bisect_right(items, of_start, key=lambda item: key(item.attrs)) :]
        else:
            items = items[: bisect_left(items, of_start, key=lambda item: key(item.attrs))]
    return items if forward else items[::-1]


def _in_range(items: list[Item], name: str, query: Mapping[str, Any]) -> list[Item]:
    """Return the items from the first to the last that meets the condition, and the next.

    moto goes on to the last item of all. If one is so large that the page has no room, a page without items follows.
    """
    if not query["range_comparison"]:
        return items
    comparison, operands = query["range_comparison"], query["range_objs"]
    places = [place for place, item in enumerate(items) if item.attrs[name].compare(comparison, operands)]
    return items[places[0] : places[-1] + 2] if places else []


def _first_page(items: list[Item], limit: int | None) -> list[Item]:
    """Return the items of a page, and the next."""
    size = 0
    for count, item in enumerate(items, 1):
        size += item.size()
        if size > RESULT_SIZE_LIMIT or (limit and count > limit):
            return items[:count]
    return items
