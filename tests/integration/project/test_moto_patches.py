"""The patched DynamoDB of moto gives the same answers as moto's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import dynamo_to_dict

from local.moto_patches import empty_queues, patch_moto
from local.stack import Stack

SEEDS = range(30)
INDEX = "byServer"


@pytest.fixture(autouse=True, scope="module")
def patched() -> None:
    patch_moto()


def table_of(rng: random.Random, *, ranged: bool) -> Table:
    """Return a table with an index by `account` and `server`, a number. Some items are in no index."""
    keys = ["id", "place"] if ranged else ["id"]
    table = Table(  # type: ignore[abstract] # moto makes it so too
        "T",
        "123456789012",
        "us-east-1",
        schema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        attr=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        global_indexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "account", "KeyType": "HASH"},
                    {"AttributeName": "server", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": rng.choice(["ALL", "KEYS_ONLY"])},
            }
        ],
    )
    # Large items, so that some pages end at 1 MB.
    for _ in range(rng.randrange(60)):
        item: dict[str, Any] = {"id": {"S": rng.choice("abc") if ranged else str(rng.random())}}
        item |= {"place": {"S": f"{rng.randrange(40):02}"}, "text": {"S": "é" * rng.choice([1, 90_000])}}
        item |= {"account": {"S": rng.choice("AB")}} if rng.random() < 0.9 else {}
        item |= {"server": {"N": str(rng.randrange(12))}} if rng.random() < 0.9 else {}
        item |= {"days": {"M": {"2018-12-20": {"S": "1 0 0 0"}, "n": {"N": "1.0"}}}, "set": {"SS": ["x", "y"]}}
        table.put_item(item, overwrite=True)
    return table


def queries(rng: random.Random, *, ranged: bool) -> Iterator[dict[str, Any]]:
    for index in [None, INDEX] if ranged else [INDEX]:
        for _ in range(8):
            hash_key = DynamoType({"S": rng.choice("ABC" if index else "abcd")})
            comparison, operands = rng.choice(
                [(None, 0), ("=", 1), ("<", 1), (">=", 1), ("BETWEEN", 2), *([] if index else [("BEGINS_WITH", 1)])]
            )
            ends = sorted(rng.randrange(12 if index else 40) for _ in range(operands))
            values = [
                DynamoType({"N": str(end)} if index else {"S": f"{end:02}"[: rng.choice([1, 2])]}) for end in ends
            ]
            names = ("account", "server") if index else ("id", "place")
            yield {
                "hash_key": hash_key,
                "range_comparison": comparison,
                "range_objs": values,
                "limit": rng.choice([None, 1, 3, 50]),
                "scan_index_forward": rng.random() < 0.5,
                "projection_expressions": rng.choice([[], [["days"], ["id"]], [["days", "n"], ["absent"]], [["set"]]]),
                "index_name": index,
                "hash_key_conditions": [(names[0], hash_key)],
                "range_key_conditions": [(names[1], comparison, values)] if comparison else [],
            }


def pages(query: Any, table: Table, arguments: dict[str, Any]) -> list[Any]:
    """Return all pages: the items, and the scanned counts. An empty last page is left out, as moto may add one."""
    found: list[Any] = []
    start: Any = None
    while start or not found:
        items, scanned, last = query(table, exclusive_start_key=start, **arguments)
        found.append((dynamo_to_dict([item.attrs for item in items]), scanned))
        start = last and dynamo_to_dict(last)
    return found if found[-1][1] else found[:-1]


@pytest.mark.parametrize("ranged", [True, False], ids=["with a range key", "without"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_has_the_same_pages(seed: int, ranged: bool) -> None:
    rng = random.Random(seed)
    table = table_of(rng, ranged=ranged)
    own: Any = Table.query.__wrapped__  # type: ignore[attr-defined]
    for arguments in queries(rng, ranged=ranged):
        assert pages(Table.query, table, arguments) == pages(own, table, arguments), (seed, arguments)


def test_an_item_may_be_as_large_as_in_moto() -> None:
    def item(size: int) -> Item:
        return Item(DynamoType({"S": "k"}), None, {"id": {"S": "k"}, "text": {"S": "x" * (size - len("idktext"))}})

    assert item(405_000).size() == 405_000
    with pytest.raises(ItemSizeTooLarge):
        item(405_001)


def test_each_type_of_attribute_comes_back(stack: Stack) -> None:
    dynamodb, table = stack.client("dynamodb"), stack.outputs["WebhooksTableName"]
    scalars: dict[str, Any] = {"S": "é", "N": "1.50", "B": b"\x00\xff", "BOOL": False, "NULL": True}
    sets: dict[str, Any] = {"SS": ["x"], "NS": ["7"], "BS": [b"\xfe"]}
    plain = {kind: {kind: value} for kind, value in (scalars | sets).items()}
    key = {"account": {"S": "types"}, "target": {"S": "types"}}
    item = key | plain | {"L": {"L": list(plain.values())}, "M": {"M": plain | {"M": {"M": plain}}}}
    dynamodb.put_item(TableName=table, Item=item)

    names = {f"#{name}": name for name in item}
    of_account = {
        "KeyConditionExpression": "account = :account",
        "ExpressionAttributeValues": {":account": key["account"]},
    }
    assert dynamodb.get_item(TableName=table, Key=key)["Item"] == item
    assert dynamodb.query(TableName=table, **of_account)["Items"] == [item]
    projected = dynamodb.query(
        TableName=table,
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
        **of_account,
    )
    assert projected["Items"] == [item]


def test_empty_queues_hold_nothing_that_waits_or_is_in_flight(stack: Stack, new_queue: Callable[[], str]) -> None:
    sqs, url = stack.client("sqs"), new_queue()
    sqs.send_message(QueueUrl=url, MessageBody="in flight")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    sqs.send_message(QueueUrl=url, MessageBody="waits")

    empty_queues()

    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] == dict.fromkeys(names, "0")
