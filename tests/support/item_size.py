"""The size of DynamoDB items, by which it charges."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def item_size(fields: Mapping[str, Any]) -> int:
    """Return an item's bytes as DynamoDB counts them: names and values in UTF-8, and a little for each list and map."""
    return sum(len(name) + _value_size(value) for name, value in fields.items())


def _value_size(value: Any) -> int:
    match value:
        case str():
            return len(value.encode())
        case bool() | None:
            return 1
        case int() | Decimal():
            return len(str(value)) // 2 + 2
        case list() | set():
            return 3 + sum(1 + _value_size(one) for one in value)
        case _:
            return 3 + sum(1 + len(name) + _value_size(one) for name, one in value.items())
