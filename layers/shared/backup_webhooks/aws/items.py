"""Items in DynamoDB's wire form (`{"S": …}`, `{"N": …}`), and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import batched, count
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from backup_webhooks.aws.retry import pause

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Text in any script that a key and a queue message can hold. Control characters, above all NUL, break keys, logs and
# receivers. SQS accepts no U+FFFE and U+FFFF.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+\Z"
# The most that BatchGetItem takes.
_MOST_READ = 100
_PAUSE_SECONDS, _MOST_DOUBLINGS = 0.05, 5
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return each field in wire form; None becomes DynamoDB's NULL."""
    return {name: _to_wire(value) for name, value in fields.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item's fields as Python values; numbers are `Decimal`, binary values `Binary`."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def get_items(client: DynamoDBClient, table: str, keys: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the items that exist under different keys, in any order (consistent reads). Raise botocore's errors."""
    for batch in batched(keys, _MOST_READ, strict=False):
        request: Any = {table: {"Keys": [to_item(key) for key in batch], "ConsistentRead": True}}
        for attempt in count():
            answer = client.batch_get_item(RequestItems=request)
            yield from map(from_item, answer["Responses"].get(table, []))
            if not (request := answer.get("UnprocessedKeys")):
                break
            pause(min(attempt, _MOST_DOUBLINGS), _PAUSE_SECONDS)


def _to_wire(value: Any) -> Any:
    # Most values are text and numbers, for which boto3's serializer makes ten checks first.
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is list:
        return {"L": [_to_wire(element) for element in value]}
    if kind is dict:
        return {"M": {name: _to_wire(element) for name, element in value.items()}}
    return _serializer.serialize(value)
