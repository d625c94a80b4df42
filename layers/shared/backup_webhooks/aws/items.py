"""Items in DynamoDB's wire form (`{"S": …}`, `{"N": …}`), and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

# Text that a key and a queue message can hold, printable in any script. A control character (NUL first of all) breaks
# keys, logs and receivers, and SQS takes no U+FFFE and U+FFFF.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+\Z"
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Each field in wire form; None becomes DynamoDB's NULL."""
    return {name: _to_wire(value) for name, value in fields.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item's fields as Python values; numbers come as `Decimal`, binary as `Binary`."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def _to_wire(value: Any) -> Any:
    # Text and numbers are most of all; boto3's serializer asks ten questions of each before it says so.
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is list:
        return {"L": [_to_wire(one) for one in value]}
    if kind is dict:
        return {"M": {name: _to_wire(one) for name, one in value.items()}}
    return _serializer.serialize(value)
