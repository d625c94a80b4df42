"""The daily report of a large account: 5,000 servers and 40,000 backups a day, over a week, for one recipient.

On a real engine alone, where AWS_ENDPOINT_URL_DYNAMODB leads to one. The floor, in a process of its own and in the
same run: bare boto3 makes the same reads, page for page, and does nothing with them. The report has to be done in half
of the function's time limit.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from copy import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from backup_webhooks.aws.items import to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.items import policy_item
from backup_webhooks.reports.recipients import ReportSettings
from botocore import xform_name
from botocore.config import Config

from benchmarks.figures import Figure
from benchmarks.support import cpu_milliseconds, function_process
from local.mailbox import Mailbox
from local.stack import embedded
from local.template import PROJECT, translate
from local.worker import Worker
from tests.integration.reports.test_daily_report_size import BACKUPS_A_DAY, DAYS, END, SERVERS, backups, policies, write
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.messages import sqs_event
from tests.support.reports_world import DAILY, ReportsAccount

REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB"
READS = ("Query", "GetItem", "BatchGetItem", "Scan")
GOAL = "<= 150"
ROUNDS = 3


def measure(quick: bool) -> Iterable[Figure]:
    """Time and processor of one account's report; `quick`: one round."""
    if REAL_ENGINE not in os.environ:
        print(f"report: left out, as {REAL_ENGINE} leads to no DynamoDB (DynamoDB Local, say)", file=sys.stderr)
        return
    template = translate()
    with ExitStack() as running:
        plan = Path(running.enter_context(TemporaryDirectory())) / "plan"
        mailbox = running.enter_context(Mailbox())
        stack = running.enter_context(embedded(template))
        proxy = running.enter_context(FaultProxy(stack.client("dynamodb").meta.endpoint_url))
        world = ReportsAccount(stack.client("dynamodb"), mailbox, END - timedelta(hours=12))
        write(
            world.policies.client, world.policies.table, (to_item(policy_item(one)) for one in policies(world.account))
        )
        write(
            world.backups.client,
            world.backups.table,
            (to_item(world.backups.item(one)) for one in backups(world.account)),
        )
        function = stack.functions()["DailyReportFunction"]
        source, own = template.sources[function.name], {"AWS_ENDPOINT_URL_SESV2": mailbox.url}

        recorded = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
        with function_process(stack, function, source, own | recorded) as worker:
            reads = _record(world, worker, proxy)
        plan.write_text(json.dumps(reads))

        reader = replace(function, handler="benchmarks.report.bare")
        bare = running.enter_context(function_process(stack, reader, PROJECT, {"PLAN": str(plan)}))
        worker = running.enter_context(function_process(stack, function, source, own))
        bare.invoke({"prepare": True})
        rounds = 1 if quick else ROUNDS
        times = [(_measured(bare, {}), _report(world, worker)) for _ in range(rounds)]
    note = f"{SERVERS:,} servers, {BACKUPS_A_DAY:,} backups a day over {DAYS} days, {len(reads)} reads; {rounds} rounds"
    for position, name in enumerate(("wall", "cpu")):
        floor, figure = (statistics.median(one[who][position] for one in times) for who in (0, 1))
        # Without a ratio the goal is the figure's.
        told = f"{note}; {figure / floor:.1f} times the reads alone"
        yield Figure(f"report-{name}", figure, "s", floor, goal=GOAL, note=told)


def _report(world: ReportsAccount, worker: Worker) -> tuple[float, float]:
    """Seconds that the report takes, and of the processor."""
    # Nothing was ever sent to the one recipient there is then.
    world.settings.save(world.account, ReportSettings())
    world.set(("one", DAILY))
    before = len(world.mailbox.mails)
    message = json.dumps({"account": world.account, "at": iso_milliseconds(END + timedelta(minutes=5))})
    measured = _measured(worker, sqs_event(message))
    if len(world.mailbox.mails) != before + 1:
        raise RuntimeError("no report was sent")
    return measured


def _measured(worker: Worker, event: dict[str, Any]) -> tuple[float, float]:
    cpu, began = cpu_milliseconds(worker.process.pid), time.perf_counter()
    worker.invoke(event)
    return time.perf_counter() - began, (cpu_milliseconds(worker.process.pid) - cpu) / 1000


def _record(world: ReportsAccount, worker: Worker, proxy: FaultProxy) -> list[tuple[str, dict[str, Any]]]:
    """The reads that a report makes: operations, and their parameters."""
    reads = []

    def note(call: Call) -> Answer:
        if call.operation in READS:
            reads.append((call.operation, dict(call.parameters)))
        return call.forward()

    proxy.behaviour = note
    _report(world, worker)
    return reads


def bare(event: dict[str, Any], context: object) -> None:
    """The floor's handler: make the reads of the file that PLAN names; `prepare` makes the client alone."""
    if "prepare" in event:
        _client()
        return
    for operation, parameters in json.loads(Path(os.environ["PLAN"]).read_text()):
        getattr(_client(), xform_name(operation))(**parameters)


@cache
def _client() -> Any:
    # Without validation, as the function has it.
    return boto3.client(
        "dynamodb", config=Config(max_pool_connections=64, parameter_validation=False, user_agent="floor")
    )
