"""The notifier's process on batches of ten failed backups: CPU a notification, and notifications a second.

Each backup is of a server policy of its own, with a month behind it.

The floor is a process that does only what can't be left out: bare posts with urllib3 and bare calls with boto3, which
are those that the notifier was seen to make for one batch. Both talk to the same endpoint, which takes 50 ms, and to
the same AWS: its answers were recorded when the batch was, so that it costs next to nothing and takes what DynamoDB
takes.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backup_webhooks.events.messages import BackupFinished, EventType, parse_message
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.targets.target import Target

from benchmarks.figures import Figure
from benchmarks.support import answering, bare, cpu_milliseconds, function_process
from local.stack import Stack, embedded
from local.targets import save_target
from local.template import PROJECT, Template, translate
from local.webhooks import targets_store
from local.worker import Worker
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.messages import finished, sqs_event
from tests.support.policies import changed

FUNCTION = "NotifierFunction"
ACCOUNT = "BENCH"
BATCH = 10
# What a server policy has behind it, up to the end of the backup in `finished`.
NIGHTS, ENDED, HALF_AN_HOUR = 30, Timestamp.parse("2018-12-20T01:39:38Z"), timedelta(minutes=30)
ENDPOINT_MILLISECONDS = 50
AWS_MILLISECONDS = 4
ROUNDS, BATCHES = 9, 20
QUICK_ROUNDS, QUICK_BATCHES = 3, 6


def batch_of(marks: list[str]) -> dict[str, Any]:
    """A batch with a failed backup, of a server policy of its own, for each mark."""
    return sqs_event(*[finished(ACCOUNT, restorePointId=mark, serverPolicyId=mark) for mark in marks])


def month_old(mark: str) -> TrackedPolicy:
    """A nightly server policy with a backup in each of the nights since it was made, so that none of them waits."""
    policy = TrackedPolicy(ACCOUNT, mark).after(
        changed("11-19 09:00", server_policy_id=mark, clc_account_alias=ACCOUNT, backup_schedule="0 0 1 * * ?")
    )
    for night in range(NIGHTS, 0, -1):
        ended = ENDED - timedelta(days=night)
        dates = {
            "backupStartedDate": iso_milliseconds(ended - HALF_AN_HOUR),
            "backupFinishedDate": iso_milliseconds(ended),
        }
        message = parse_message(finished(ACCOUNT, serverPolicyId=mark, restorePointCreationStatus="SUCCESS", **dates))
        assert isinstance(message, BackupFinished)
        policy = policy.after(message)
    return policy


def new_marks() -> list[str]:
    return [str(uuid.uuid4()) for _ in range(BATCH)]


@dataclass
class Recording:
    """What the notifier does for one batch, as its AWS and its endpoint see it."""

    marks: list[str] = field(default_factory=new_marks)
    calls: list[tuple[float, str, str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    posts: dict[str, tuple[float, str]] = field(default_factory=dict)

    def listen(self, service: str) -> Callable[[Call], Answer]:
        def behaviour(call: Call) -> Answer:
            self.calls.append((time.time(), service, call.operation, call.parameters))
            status, answer = call.forward()
            self.answers[call.operation] = answer.decode()
            return status, answer

        return behaviour

    def on_post(self, at: float, body: str) -> None:
        for mark in self.marks:
            if mark in body:
                self.posts[mark] = at, body

    def make(self, template: Template, stack: Stack) -> None:
        """Record a second batch: what is read once in 30 s, the targets, is in neither side's calls."""
        policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
        for mark in self.marks:
            policies.save(month_old(mark))
        with (
            FaultProxy(stack.client("dynamodb").meta.endpoint_url) as dynamodb,
            FaultProxy(stack.client("sqs").meta.endpoint_url) as sqs,
            function_process(
                stack,
                stack.functions()[FUNCTION],
                template.sources[FUNCTION],
                {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url, "AWS_ENDPOINT_URL_SQS": sqs.url},
            ) as notifier,
        ):
            dynamodb.behaviour, sqs.behaviour = self.listen("dynamodb"), self.listen("sqs")
            notifier.invoke(batch_of(new_marks()))
            self.calls.clear()
            if notifier.invoke(batch_of(self.marks)) != {"batchItemFailures": []}:
                raise RuntimeError("the notifier failed while it was recorded")
            while len(self.posts) < BATCH:
                time.sleep(0.01)

    def plan(self, url: str, deliveries_table: str) -> dict[str, Any]:
        """For `benchmarks.floor.notify`."""
        calls = []
        for at, service, operation, parameters in self.calls:
            text = json.dumps(parameters)
            mark, *others = [mark for mark in self.marks if mark in text] or [None]
            when = "beside"
            if mark and deliveries_table in text:
                when = "before" if at < self.posts[mark][0] else "after"
            calls.append(
                {
                    "service": service,
                    "operation": operation,
                    "parameters": parameters,
                    "mark": None if others else mark,
                    "when": when,
                }
            )
        return {
            "url": url,
            "headers": {"content-type": "application/json"},
            "marks": self.marks,
            "bodies": {mark: body for mark, (_, body) in self.posts.items()},
            "calls": calls,
        }

    def __str__(self) -> str:
        counted = Counter(operation for _, _, operation, _ in self.calls)
        return ", ".join(f"{count} {operation}" for operation, count in sorted(counted.items()))


@dataclass
class Side:
    """One of the two that are compared, and what each of its rounds came to."""

    worker: Worker
    cpu: list[float] = field(default_factory=list)
    a_second: list[float] = field(default_factory=list)

    def round(self, batches: list[list[str]]) -> None:
        events = [batch_of(marks) | {"batch": number} for number, marks in enumerate(batches)]
        self.worker.invoke({"prepare": batches, "Records": []} if self.prepares else batch_of(new_marks()))
        cpu, begin = cpu_milliseconds(self.worker.process.pid), time.perf_counter()
        for event in events:
            if self.worker.invoke(event) != {"batchItemFailures": []}:
                raise RuntimeError("messages failed")
        count = BATCH * len(batches)
        self.a_second.append(count / (time.perf_counter() - begin))
        self.cpu.append((cpu_milliseconds(self.worker.process.pid) - cpu) / count)

    @property
    def prepares(self) -> bool:
        return "floor" in self.worker._function.handler


def measure(quick: bool) -> Iterable[Figure]:
    """`notify-cpu` and `notify-throughput`, of the same rounds."""
    rounds, batches = (QUICK_ROUNDS, QUICK_BATCHES) if quick else (ROUNDS, BATCHES)
    template, recording = translate(), Recording()
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory()))
        url = running.enter_context(answering(ENDPOINT_MILLISECONDS, tell=recording.on_post))
        stack = running.enter_context(embedded(template))
        save_target(targets_store(stack), Target(ACCOUNT, [EventType.FAILURE], url))
        recording.make(template, stack)
        (folder / "plan.json").write_text(json.dumps(recording.plan(url, stack.outputs["DeliveriesTableName"])))
        aws = running.enter_context(answering(AWS_MILLISECONDS, recording.answers))
        elsewhere = {"AWS_ENDPOINT_URL_DYNAMODB": aws, "AWS_ENDPOINT_URL_SQS": aws, "PLAN": str(folder / "plan.json")}
        function = stack.functions()[FUNCTION]
        ours, floor = (
            Side(running.enter_context(function_process(stack, one, source, elsewhere)))
            for one, source in ((function, template.sources[FUNCTION]), (bare(function, "notify"), PROJECT))
        )
        for number in range(rounds + 1):
            for side in (ours, floor) if number % 2 else (floor, ours):
                side.round([new_marks() for _ in range(batches if number else 2)])
    yield from _figures(ours, floor, str(recording))


def _figures(ours: Side, floor: Side, calls: str) -> Iterable[Figure]:
    # The first round is the warm-up.
    cpu, a_second = (
        [one / other for one, other in zip(*pair, strict=True)][1:]
        for pair in ((ours.cpu, floor.cpu), (ours.a_second, floor.a_second))
    )
    yield Figure(
        "notify-cpu",
        statistics.median(ours.cpu[1:]),
        "ms a notification",
        statistics.median(floor.cpu[1:]),
        statistics.median(cpu),
        "<= 1.3",
        f"a batch of {BATCH}: {calls}, {BATCH} POST; medians of {len(cpu)} alternating rounds",
    )
    yield Figure(
        "notify-throughput",
        statistics.median(ours.a_second[1:]),
        "notifications a second",
        statistics.median(floor.a_second[1:]),
        statistics.median(a_second),
        ">= 0.75",
        f"one environment, endpoints that take {ENDPOINT_MILLISECONDS} ms, AWS {AWS_MILLISECONDS} ms",
    )
