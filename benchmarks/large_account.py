"""One account with 20,000 server policies: the views of its servers and its report, within the functions' time limits.

Only on a real engine, to which AWS_ENDPOINT_URL_DYNAMODB leads. The note of a view that reads all policies says at how
many it would reach its function's time limit: on Lambda, whose share of a CPU is that of the memory.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from http import HTTPStatus

from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import BackupStatus
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.items import policy_item
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from msgspec.structs import replace

from benchmarks.figures import Figure
from benchmarks.memory import API
from benchmarks.scripted_night import HOUR, NIGHTS, Server, server_time
from benchmarks.support import cpu_milliseconds, function_process
from local.http_api import request_event
from local.mailbox import Mailbox
from local.stack import Function, embedded
from local.template import translate
from local.worker import Worker
from tests.integration.reports.test_daily_report_size import write
from tests.support.messages import sqs_event

REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB"
ACCOUNT, SERVERS, REPORTED_NIGHTS = "LARGE", 20_000, 8
ROUNDS = 3
# One in so many has failed since its last night.
TROUBLED = 50
# Lambda gives a whole CPU with so much memory.
MB_OF_A_CPU = 1769
VIEWS = {
    "page": "serverPolicies?limit=50",
    "search": "serverPolicies?limit=50&server=VA1LARGWEB19",
    "attention": "troubledServerPolicies?limit=50",
    "chart": "dailyResults",
}
# These read every policy of the account.
READS_ALL = ("chart", "report")


def measure(quick: bool) -> Iterable[Figure]:
    """Yield the seconds of each view and of the report; `quick`: a tenth of the servers, one round."""
    if REAL_ENGINE not in os.environ:
        print(f"large_account: left out, as {REAL_ENGINE} leads to no DynamoDB (DynamoDB Local, say)", file=sys.stderr)
        return
    count, template = SERVERS // 10 if quick else SERVERS, translate()
    now = server_time(0)
    with ExitStack() as running:
        mailbox = running.enter_context(Mailbox())
        stack = running.enter_context(embedded(template, ses=mailbox.url))
        client, outputs = stack.client("dynamodb"), stack.outputs
        backups = BackupsStore(client, outputs["BackupsTableName"])
        write(client, outputs["ServerPoliciesTableName"], map(to_item, map(policy_item, policies(count))))
        write(client, backups.table, (to_item(backups.item(backup)) for backup in ended(count)))
        functions = stack.functions()

        def process(name: str) -> Worker:
            worker = running.enter_context(function_process(stack, functions[name], template.sources[name]))
            worker.warm_up()
            return worker

        api, report = process("WebhooksApiFunction"), process("DailyReportFunction")

        def view(path: str) -> None:
            claims = {"account_alias": ACCOUNT, "sub": "a person"}
            answer = api.invoke(request_event(API, "GET", f"/v2/webhooks/{ACCOUNT}/{path}", {}, b"", claims))
            if answer["statusCode"] != HTTPStatus.OK:
                raise RuntimeError(answer["body"])

        def send_report() -> None:
            # Nothing was ever sent to the one recipient there is then.
            settings = ReportSettingsStore(client, outputs["WebhooksTableName"], lambda: now - 12 * HOUR)
            settings.save(ACCOUNT, ReportSettings())
            settings.save(ACCOUNT, ReportSettings([Recipient("ops@example.com")], (now + HOUR).hour))
            mailbox.mails.clear()
            at = iso_milliseconds(now + HOUR + timedelta(minutes=5))
            report.invoke(sqs_event(json.dumps({"account": ACCOUNT, "at": at})))
            if not mailbox.mails:
                raise RuntimeError("no report was sent")

        for name, path in VIEWS.items():
            yield _figure(name, count, api, functions["WebhooksApiFunction"], lambda path=path: view(path), quick)
        yield _figure("report", count, report, functions["DailyReportFunction"], send_report, quick)


def _figure(  # noqa: PLR0913, PLR0917 - a view and its process
    name: str, count: int, worker: Worker, function: Function, call: Callable[[], None], quick: bool
) -> Figure:
    call()
    measured = []
    for _ in range(1 if quick else ROUNDS):
        cpu, began = cpu_milliseconds(worker.process.pid), time.perf_counter()
        call()
        wall = time.perf_counter() - began
        measured.append((wall, (cpu_milliseconds(worker.process.pid) - cpu) / 1000))
    wall, cpu = map(statistics.median, zip(*measured, strict=True))
    on_lambda = wall - cpu + cpu * MB_OF_A_CPU / function.memory
    note = f"{count:,} servers; CPU {cpu:.2g} s; {on_lambda:.2g} s with {function.memory} MB of {function.timeout}"
    if name in READS_ALL:
        note += f"; time is up at {count * function.timeout / on_lambda:,.0f} servers"
    return Figure(f"large-account-{name}", wall, "s", goal=f"<= {function.timeout}", note=note)


def policies(count: int) -> Iterator[TrackedPolicy]:
    """Yield nightly policies with a month of results. What the rule makes of it is the same for all."""
    likes = []
    for last in (BackupStatus.SUCCESS, BackupStatus.FAILED):
        first = Server(ACCOUNT, 0)
        like = TrackedPolicy(ACCOUNT, first.policy_id).after(first.changed())
        for night in range(-NIGHTS, 0):
            status = last if night == -1 else BackupStatus.SUCCESS
            like = like.after(first.start(night)).after(first.end(night, status))
        likes.append(replace(like, revision=1))
    for number in range(count):
        server, like = Server(ACCOUNT, number), likes[number % TROUBLED == 0]
        assert like.policy
        policy = replace(like.policy, server_id=server.changed().server_id)
        yield replace(like, server_policy_id=server.policy_id, policy=policy)


def ended(count: int) -> Iterator[Backup]:
    """Yield the backups that a report reads."""
    for night in range(-REPORTED_NIGHTS, 0):
        for number in range(count):
            end = Server(ACCOUNT, number).end(night)
            yield Backup.of(end, end.backup_finished_date)
