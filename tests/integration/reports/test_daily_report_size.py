"""A large account's report, made by the function's own process: 5,000 servers, 40,000 backups a day, and their week.

moto gets a part of that, and one day: it reads large partitions and indexes too slowly.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from backup_webhooks.aws.items import to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.monitoring.items import policy_item
from backup_webhooks.monitoring.server_policies import TrackedPolicy

from local.mailbox import Mailbox
from local.stack import Stack
from local.template import Template
from local.worker import Worker
from tests.integration.monitoring.test_detector import peak_kib
from tests.support.messages import sqs_event
from tests.support.policies import at, changed, finished
from tests.support.reports_world import DAILY, ReportsAccount

REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB" in os.environ
SERVERS, BACKUPS_A_DAY, DAYS = (5_000, 40_000, 7) if REAL_ENGINE else (100, 4_000, 1)
DAY = timedelta(days=1)
END = at("2026-11-24 07:00")
RESULTS = [BackupResult.SUCCESS] * 97 + [BackupResult.FAILED, BackupResult.PARTIAL_SUCCESS, BackupResult.MISSED]


def write(client: Any, table: str, items: Iterable[dict[str, Any]]) -> None:
    def put(some: tuple[dict[str, Any], ...]) -> None:
        client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in some]})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, batched(items, 25, strict=False)))


def policies(account: str) -> Iterator[TrackedPolicy]:
    """Yield policies with a backup each New Year, as the ticks of other tests would report thousands as missed."""
    for number in range(SERVERS):
        policy_id, server = f"{account}-{number}", f"IL1SERVER{number:05}"
        yield (
            TrackedPolicy(account, policy_id)
            .after(
                changed(
                    "2026-11-01 12:00",
                    server_policy_id=policy_id,
                    clc_account_alias=account,
                    server_id=server,
                    backup_schedule="0 0 17 1 1 ?",
                )
            )
            .after(
                finished(
                    "2026-11-24 01:00",
                    "2026-11-24 02:00",
                    server_policy_id=policy_id,
                    account_alias=account,
                    server_id=server,
                )
            )
        )


def backups(account: str) -> Iterator[Backup]:
    count = BACKUPS_A_DAY * DAYS
    for number in range(count):
        ended = END - DAYS * DAY + DAYS * DAY * number / count
        server = number % SERVERS
        yield Backup(
            account=account,
            server_id=f"IL1SERVER{server:05}",
            server_policy_id=f"{account}-{server}",
            account_policy_id="5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
            account_policy_name="Nightly",
            storage_region="US WEST",
            result=RESULTS[number % len(RESULTS)],
            occurred_at=ended,
            recorded_at=ended,
            started_at=ended - timedelta(minutes=20),
            restore_point_id=f"{number:08}-731e-4c77-bbc1-8892ec8667e4",
        )


def test_a_large_account_is_reported_within_the_functions_memory(
    stack: Stack, template: Template, tmp_path: Path
) -> None:
    function = stack.functions()["DailyReportFunction"]
    with Mailbox() as mailbox:
        environment = {"AWS_ENDPOINT_URL_SESV2": mailbox.url}
        world = ReportsAccount(stack.client("dynamodb"), mailbox, END - timedelta(hours=12))
        world.set(("one", DAILY), ("two", DAILY))
        write(world.policies.client, world.policies.table, map(to_item, map(policy_item, policies(world.account))))
        write(world.backups.client, world.backups.table, map(to_item, map(world.backups.item, backups(world.account))))
        message = json.dumps({"account": world.account, "at": iso_milliseconds(END + timedelta(minutes=5))})

        with closing(Worker(function, template.sources[function.name], stack, tmp_path / "log", environment)) as worker:
            response = worker.invoke(sqs_event(message))
            peak = peak_kib(worker)
        # The account must not be due in other tests.
        world.set()

    assert response == {"batchItemFailures": []}, (tmp_path / "log").read_text()
    one, two = mailbox.mails
    each = BACKUPS_A_DAY // 100
    assert f"{each:,} failed, {each:,} missed, {each:,} partial, {97 * each:,} succeeded" in one.subject
    assert {one.to, two.to} == {world.address("one"), world.address("two")}
    assert {f"IL1SERVER{number:05}" for number in range(SERVERS)} <= set(re.findall(r"IL1SERVER\d{5}", one.html))
    ((name, content),) = one.attachments.items()
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (name,) = archive.namelist()
            content = archive.read(name)
    assert content.count(b"\r\n") == BACKUPS_A_DAY + 1
    assert peak < 0.5 * function.memory * 1024, f"{peak // 1024} MiB of {function.memory}"
