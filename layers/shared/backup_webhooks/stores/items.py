"""Items in DynamoDB's wire form (`{"S": …}`, `{"N": …}`), and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Each field in wire form; None becomes DynamoDB's NULL."""
    return {name: _serializer.serialize(value) for name, value in fields.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item's fields as Python values; numbers come as `Decimal`, binary as `Binary`."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}
