"""From a message that is sent to its POST, on the local stack: at an even pace, and counted from the moment for which
the message was planned, so that a stack that falls behind can't slow down the clock.

Three environments of the notifier poll the queue. The tables are in a process of their own and answer as DynamoDB does,
in 4 ms, whatever they are asked (the emulator would take two of our notifiers' CPU for them); with
AWS_ENDPOINT_URL_DYNAMODB they are there. The floor is the same queue and the same pollers with a handler that does
nothing but post: it claims nothing and keeps no books. What it takes is what the emulated queue takes; where that alone
is more than the goal, it is the emulator that is measured, and the goal is left out.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import Target

from benchmarks.figures import Figure
from benchmarks.support import answering, bare, cpu_milliseconds, function_process, share
from local.poller import Poller
from local.stack import Function, Stack, embedded
from local.targets import save_target
from local.template import PROJECT, Template, translate
from local.webhooks import targets_store
from tests.support.messages import finished, sqs_event

FUNCTION, QUEUE, ACCOUNT = "NotifierFunction", "BackupEventsQueue", "BENCH"
ENVIRONMENTS = 3
RATES, QUICK_RATES = (50, 200), (50,)
WARM_UP_SECONDS, SECONDS = 2, 8
QUICK_WARM_UP_SECONDS, QUICK_SECONDS = 1, 2.5
AWS_MILLISECONDS = 4
# What has not come by then counts as having taken so long; the stack is not waited for any longer.
HANG_SECONDS = 5.0
MOST_MILLISECONDS = 150
_MARK = re.compile(r"bench-[0-9a-f]{32}")


@dataclass
class Stopwatch:
    """When each mark was planned to be sent, and how many seconds later it was posted."""

    planned: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)

    def on_post(self, at: float, body: str) -> None:
        if (mark := _MARK.search(body)) and mark[0] in self.planned:
            self.taken.setdefault(mark[0], at - self.planned[mark[0]])

    def send_for(self, stack: Stack, seconds: float, rate: int) -> list[float]:
        """Send so many a second; the milliseconds of each."""
        marks = [f"bench-{uuid.uuid4().hex}" for _ in range(int(seconds * rate))]
        sqs, queue_url = stack.client("sqs"), stack.outputs[f"{QUEUE}Url"]
        begin = time.time() + 0.1
        with ThreadPoolExecutor(16) as senders:
            for number, mark in enumerate(marks):
                self.planned[mark] = begin + number / rate
                time.sleep(max(self.planned[mark] - time.time(), 0))
                senders.submit(sqs.send_message, QueueUrl=queue_url, MessageBody=message(mark))
        end = time.time() + HANG_SECONDS
        while not self.taken.keys() >= set(marks) and time.time() < end:
            time.sleep(0.02)
        return [self.taken.get(mark, HANG_SECONDS) * 1000 for mark in marks]


def message(mark: str) -> str:
    """The commonest: a backup that succeeded, of a server policy of its own."""
    return finished(ACCOUNT, restorePointId=mark, serverPolicyId=mark, restorePointCreationStatus="SUCCESS")


@contextmanager
def tables(stack: Stack) -> Iterator[str]:
    """Where the functions' DynamoDB is: it knows the account's target, and takes whatever is written."""
    if elsewhere := os.environ.get("AWS_ENDPOINT_URL_DYNAMODB"):
        yield elsewhere
        return
    targets = stack.client("dynamodb").scan(TableName=stack.outputs["WebhooksTableName"])["Items"]
    found = json.dumps({"Items": targets, "Count": len(targets), "ScannedCount": len(targets)})
    with answering(AWS_MILLISECONDS, {"Query": found, "GetItem": "{}", "PutItem": "{}", "UpdateItem": "{}"}) as url:
        yield url


@contextmanager
def polling(
    template: Template, stack: Stack, function: Function, source: Path, environment: Mapping[str, str]
) -> Iterator[list[int]]:
    """Environments of the function at the queue, each of which has had its cold start; their processes' ids."""
    (mapping,) = (one for one in template.queue_sources if one.queue == QUEUE)
    with ExitStack() as running, ThreadPoolExecutor() as starting:
        workers = [
            running.enter_context(function_process(stack, function, source, environment)) for _ in range(ENVIRONMENTS)
        ]
        list(starting.map(lambda worker: worker.invoke(sqs_event(message("cold"))), workers))
        for worker in workers:
            poller = Poller(stack, stack.outputs[f"{QUEUE}Url"], mapping, worker)
            poller.start()
            running.callback(poller.stop)
        yield [worker.process.pid for worker in workers]


def measure(quick: bool) -> Iterable[Figure]:
    """p50, p95 and p99 at each rate."""
    warm_up, seconds = (QUICK_WARM_UP_SECONDS, QUICK_SECONDS) if quick else (WARM_UP_SECONDS, SECONDS)
    watch, template = Stopwatch(), translate()
    taken: dict[str, dict[int, list[float]]] = {"floor": {}, "ours": {}}
    cores: dict[tuple[str, int], str] = {}
    with embedded(template) as stack, answering(tell=watch.on_post) as url:
        save_target(targets_store(stack), Target(ACCOUNT, [EventType.SUCCESS], url))
        function = stack.functions()[FUNCTION]
        with tables(stack) as dynamodb:
            environment = {"TARGET": url, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb}
            for side, one, source in (
                ("floor", bare(function, "post_alone"), PROJECT),
                ("ours", function, template.sources[FUNCTION]),
            ):
                with polling(template, stack, one, source, environment) as functions:
                    for rate in QUICK_RATES if quick else RATES:
                        watch.send_for(stack, warm_up, rate)
                        with using_cores({"functions": functions, "queue and pollers": [os.getpid()]}) as used:
                            taken[side][rate] = watch.send_for(stack, seconds, rate)
                        cores[side, rate] = ", ".join(f"{name} {number:.2f}" for name, number in used.items())
                # Lest our load stand behind what is left of the floor's; SQS allows it once a minute.
                if side == "floor":
                    stack.client("sqs").purge_queue(QueueUrl=stack.outputs[f"{QUEUE}Url"])
    for rate, ours in taken["ours"].items():
        used = f"{cores['ours', rate]}; floor: {cores['floor', rate]}"
        note = f"{ENVIRONMENTS} environments; of {os.cpu_count()} cores in use: {used}"
        yield from _figures(rate, ours, taken["floor"][rate], note)


@contextmanager
def using_cores(processes: Mapping[str, list[int]]) -> Iterator[dict[str, float]]:
    """How many cores each of the groups of processes keeps busy meanwhile; there at the end."""
    begin = time.perf_counter()
    before = {name: sum(map(cpu_milliseconds, pids)) for name, pids in processes.items()}
    used: dict[str, float] = {}
    yield used
    milliseconds = (time.perf_counter() - begin) * 1000
    used |= {name: (sum(map(cpu_milliseconds, pids)) - before[name]) / milliseconds for name, pids in processes.items()}


def _figures(rate: int, ours: list[float], floor: list[float], note: str) -> Iterable[Figure]:
    for name, of_them in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        figure, least = share(ours, of_them), share(floor, of_them)
        goal = f"<= {MOST_MILLISECONDS}" if name == "p95" and least <= MOST_MILLISECONDS else None
        yield Figure(f"latency-{rate}-a-second-{name}", figure, "ms", least, goal=goal, note=note)
