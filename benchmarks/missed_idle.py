"""A minute's tick with nothing due, over 10,000 and over 200,000 server policies: time, processor and capacity.

On a real engine alone, where AWS_ENDPOINT_URL_DYNAMODB leads to one: the embedded DynamoDB goes through all of a table
at each query. The floor of each figure is the tick over the small table, in the same run. An engine on this machine
charges nothing for a query that finds nothing; DynamoDB charges half a unit.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import batched
from typing import Any

from backup_webhooks.aws.items import to_item
from backup_webhooks.monitoring.items import policy_item, shard_of
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore

from benchmarks.figures import Figure
from benchmarks.support import answering, cpu_milliseconds, function_process
from local.stack import embedded
from local.template import translate
from local.worker import Worker
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.policies import LONG_AGO, at, changed

REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB"
FEW, MANY = 10_000, 200_000
ROUNDS, TICKS_A_ROUND = 9, 10
GOAL = "<= 1.2"
TICK = "2018-12-20T18:13:00Z"
QUEUE = {"SendMessage": '{"MessageId": "1"}'}
READS = ("Query", "GetItem", "BatchGetItem", "Scan")


def measure(quick: bool) -> Iterable[Figure]:
    """Time, processor and capacity of one tick; `quick`: with a fifth of the policies, and fewer rounds."""
    if REAL_ENGINE not in os.environ:
        print(f"missed_idle: left out, as {REAL_ENGINE} leads to no DynamoDB (DynamoDB Local, say)", file=sys.stderr)
        return
    few, many = (FEW // 5, MANY // 5) if quick else (FEW, MANY)
    template = translate()
    properties = template.cloudformation["Resources"]["ServerPoliciesTable"]["Properties"]
    function_name = "MissedBackupsFunction"
    with ExitStack() as running:
        stack = running.enter_context(embedded(template))
        queue = running.enter_context(answering(answers=QUEUE))
        client = stack.client("dynamodb")
        tables = {count: new_table(client, properties, f"ServerPolicies{count}") for count in (few, many)}
        for count, table in tables.items():
            fill(client, table, count, "12-20 18:00")
        function, source = stack.functions()[function_name], template.sources[function_name]

        def of(table: str, **changes: str) -> Worker:
            environment = {"SERVER_POLICIES_TABLE": table, "AWS_ENDPOINT_URL_SQS": queue} | changes
            return running.enter_context(function_process(stack, function, source, environment))

        workers = {count: of(table) for count, table in tables.items()}
        figures: dict[int, list[tuple[float, float]]] = {few: [], many: []}
        rounds = 3 if quick else ROUNDS
        for number in range(rounds + 1):
            for count, worker in workers.items():
                measured = _ticks(client, tables[count], worker)
                # The first is the cold start's.
                if number:
                    figures[count].append(measured)
        for position, name in enumerate(("wall", "cpu")):
            floor, figure = (statistics.median(one[position] for one in figures[count]) for count in (few, many))
            note = f"{many:,} against {few:,} server policies; {rounds} rounds of {TICKS_A_ROUND} ticks"
            yield Figure(f"missed-idle-{name}", figure, "ms", floor, figure / floor, GOAL, note)
        proxy = running.enter_context(FaultProxy(client.meta.endpoint_url))
        reads = {
            count: list(_reads(client, table, of(table, AWS_ENDPOINT_URL_DYNAMODB=proxy.url), proxy))
            for count, table in tables.items()
        }
    floor, figure = (sum(units for _, _, units in reads[count]) for count in (few, many))
    queries = sum(operation == "Query" for operation, _, _ in reads[many])
    items = sum(items for operation, items, _ in reads[many] if operation == "Query")
    note = f"{queries} queries that read {items} items, and the heartbeats' item"
    yield Figure("missed-idle-capacity", figure, "read units", floor, figure / floor, GOAL, note)


def new_table(client: Any, properties: dict[str, Any], name: str) -> str:
    """Another table as the template has ServerPoliciesTable; one that an earlier run has left is replaced."""
    if name in client.list_tables()["TableNames"]:
        client.delete_table(TableName=name)
    wanted = {"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}
    client.create_table(TableName=name, **{key: value for key, value in properties.items() if key in wanted})
    return name


def fill(client: Any, table: str, count: int, on: str) -> None:
    """So many active policies with the same next start, after that moment, written in bulk."""
    like = to_item(policy_item(TrackedPolicy("TEST", "like").after(changed(on))))

    def put(numbers: tuple[int, ...]) -> None:
        requests = [{"PutRequest": {"Item": like | _own(f"policy-{number}")}} for number in numbers]
        while requests:
            answer = client.batch_write_item(RequestItems={table: requests})
            requests = answer["UnprocessedItems"].get(table, [])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, batched(range(count), 25, strict=False)))


def _own(policy_id: str) -> dict[str, Any]:
    return to_item({"serverPolicyId": policy_id, "serverId": f"of {policy_id}", "dueShard": shard_of(policy_id)})


def vouch(client: Any, table: str) -> None:
    """Let a heartbeat vouch for 18:05, as if no tick had been since: the next judges as of then."""
    seen = SeenHeartbeat(at("12-20 18:05"), at("12-20 18:06"))
    watermark = Watermark(seen=(seen,), ran_at=at("12-20 18:12"), resumed_at=LONG_AGO)
    WatermarkStore(client, table).save_tick(watermark)


def _ticks(client: Any, table: str, worker: Worker) -> tuple[float, float]:
    """Milliseconds of a tick, and of the processor."""
    wall = cpu = 0.0
    for _ in range(TICKS_A_ROUND):
        vouch(client, table)
        cpu_before, began = cpu_milliseconds(worker.process.pid), time.perf_counter()
        tally = worker.invoke({"time": TICK})
        wall += (time.perf_counter() - began) * 1000
        cpu += cpu_milliseconds(worker.process.pid) - cpu_before
        if tally != {"due": 0, "sent": 0}:
            raise RuntimeError(f"something was due: {tally}")
    return wall / TICKS_A_ROUND, cpu / TICKS_A_ROUND


def _reads(client: Any, table: str, worker: Worker, proxy: FaultProxy) -> Iterator[tuple[str, int, float]]:
    """The reads of one tick: operation, items, capacity."""
    reads = []

    def note(call: Call) -> Answer:
        if call.operation not in READS:
            return call.forward()
        call.parameters["ReturnConsumedCapacity"] = "TOTAL"
        status, answer = call.forward()
        read = json.loads(answer)
        reads.append((call.operation, read.get("ScannedCount", 1), read["ConsumedCapacity"]["CapacityUnits"]))
        return status, answer

    proxy.behaviour = note
    vouch(client, table)
    worker.invoke({"time": TICK})
    return iter(reads)
