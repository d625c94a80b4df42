"""Thousands of servers that miss their backup at the same minute: what one miss costs the function's process.

The floor, in a process of its own and in the same run: a bare conditional PutItem of an equal item for each miss, and a
SendMessageBatch of equal bodies for every ten, in as many threads. Tables are in the DynamoDB that
AWS_ENDPOINT_URL_DYNAMODB leads to, or in an embedded one beside this process; in place of the queue answers a process
that takes all it is sent, as the embedded one slows down with the length of its queue.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import replace
from dataclasses import dataclass
from functools import cache
from itertools import batched
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import boto3
from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import encode_message
from backup_webhooks.monitoring.items import SHARDS, policy_item
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from botocore.config import Config

from benchmarks.figures import Figure
from benchmarks.missed_idle import TICK, fill, vouch
from benchmarks.support import cpu_milliseconds, function_process, peak_mib, tables_elsewhere
from local.stack import Function, Stack, embedded
from local.template import PROJECT, Template, translate
from local.worker import Worker
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.policies import LONG_AGO, changed

MANY, FEW, QUICK_MANY = 10_000, 500, 300
ROUNDS = 3
COST_GOAL, MEMORY_GOAL = "<= 1.5", "<= 1.25"
# As the function has them.
_THREADS = ThreadPoolExecutor(8)
_ready: list[tuple[Any, list[tuple[dict[str, Any], list[dict[str, Any]]]]]] = []


def measure(quick: bool) -> Iterable[Figure]:
    """What a miss costs, and the memory that many take; `quick`: of few, and the cost alone."""
    with ExitStack() as running:
        running.enter_context(tables_elsewhere())
        template = translate()
        stack = running.enter_context(embedded(template))
        storm = Storm(stack, template, running.enter_context(_queue()), QUICK_MANY if quick else MANY)
        yield storm.cost()
        if not quick:
            yield storm.memory()


@dataclass(frozen=True)
class Storm:
    """So many misses in a tick."""

    stack: Stack
    template: Template
    queue: str
    count: int

    @property
    def _function(self) -> Function:
        return self.stack.functions()["MissedBackupsFunction"]

    @contextmanager
    def _worker(self, function: Function, source: Path) -> Iterator[Worker]:
        with function_process(self.stack, function, source, {"AWS_ENDPOINT_URL_SQS": self.queue}) as worker:
            yield worker

    def _own(self) -> Any:
        return self._worker(self._function, self.template.sources[self._function.name])

    def _bare(self) -> Any:
        # How long it may take is not what is asked here.
        bare = replace(self._function, handler="benchmarks.missed_storm.bare", timeout=600)
        return self._worker(bare, PROJECT)

    def cost(self) -> Figure:
        """Milliseconds of the processor for each miss."""
        own, floor = [], []
        with self._own() as worker, self._bare() as bare:
            for number in range(ROUNDS + 1):
                # The first is the cold start's, and needs not be long.
                count = self.count if number else 100
                bare.invoke({"prepare": count, "mark": f"{os.getpid()}-{number}"})
                costs = (self._run(worker, count), _cpu_of(bare, {"run": True}))
                if number:
                    own.append(costs[0] / count)
                    floor.append(costs[1] / count)
        figure, least = statistics.median(own), statistics.median(floor)
        note = f"{self.count:,} misses in a tick; {ROUNDS} rounds"
        return Figure("missed-storm-cpu", figure, "ms a miss", least, figure / least, COST_GOAL, note)

    def memory(self) -> Figure:
        """The most memory that the process takes."""
        peaks = []
        for count in (FEW, self.count):
            with self._own() as worker:
                self._run(worker, count)
                peaks.append(peak_mib(worker.process.pid))
        few, many = peaks
        note = f"the peak with {self.count:,} misses against that with {FEW}"
        return Figure("missed-storm-memory", many, "MiB", few, many / few, MEMORY_GOAL, note)

    def _run(self, worker: Worker, count: int) -> float:
        """Milliseconds of the processor that the function takes to tell of so many, in as many ticks as it needs."""
        client, table = self.stack.client("dynamodb"), self.stack.outputs["ServerPoliciesTableName"]
        fill(client, table, count, "12-20 09:00")
        sent, cpu = 0, 0.0
        while sent < count:
            vouch(client, table)
            before = cpu_milliseconds(worker.process.pid)
            tally = worker.invoke({"time": TICK})
            cpu += cpu_milliseconds(worker.process.pid) - before
            if not tally["sent"]:
                raise RuntimeError(f"{sent} of {count} were told, and then {tally}")
            sent += tally["sent"]
        return cpu


def _cpu_of(worker: Worker, event: dict[str, Any]) -> float:
    before = cpu_milliseconds(worker.process.pid)
    worker.invoke(event)
    return cpu_milliseconds(worker.process.pid) - before


def bare(event: dict[str, Any], context: object) -> None:
    """The floor's handler: `prepare` so many writes and messages with a mark of their own, or `run` them."""
    if "prepare" in event:
        _ready[:] = _prepared(event["prepare"], event["mark"])
        return
    dynamodb, sqs = _client("dynamodb"), _client("sqs")

    def of_shard(tens: Any) -> None:
        for entries, items in tens:
            sqs.send_message_batch(QueueUrl=os.environ["BACKUP_EVENTS_QUEUE_URL"], Entries=entries)
            for item in items:
                dynamodb.put_item(
                    TableName=os.environ["SERVER_POLICIES_TABLE"],
                    Item=item,
                    ConditionExpression="attribute_not_exists(serverPolicyId) OR revision = :seen",
                    ExpressionAttributeValues={":seen": {"N": "0"}},
                )

    list(_THREADS.map(of_shard, _ready))


@cache
def _client(service: str) -> Any:
    # Without validation, as the functions have it.
    return boto3.client(service, config=Config(max_pool_connections=64, parameter_validation=False, user_agent="floor"))


def _prepared(count: int, mark: str) -> list[Any]:
    """For each shard its tens: the messages, and the items as the function leaves them once their miss is told."""
    policy = TrackedPolicy("TEST", "like").after(changed("12-20 09:00"))
    message = encode_message(policy.miss())
    item = to_item(policy_item(replace(policy.after_miss(LONG_AGO), revision=1)))
    items = [item | {"serverPolicyId": {"S": f"{mark}-{number}"}} for number in range(count)]
    tens = [
        ([{"Id": str(position), "MessageBody": message} for position in range(len(ten))], ten)
        for ten in batched(items, 10, strict=False)
    ]
    return [tens[shard::SHARDS] for shard in range(SHARDS)]


@contextmanager
def _queue() -> Iterator[str]:
    """The URL of a process that takes all it is sent."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_take, args=[there], daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _take(told: Connection) -> None:
    def take(call: Call) -> Answer:
        entries = call.parameters.get("Entries", [])
        return 200, json.dumps({"MessageId": "1", "Successful": [{"Id": entry["Id"]} for entry in entries]}).encode()

    with FaultProxy("") as queue:
        queue.behaviour = take
        told.send(queue.url)
        told.poll(None)
