"""The parts of `make run`: the queue's poller, the schedule of each minute, and a clock that runs fast."""

from __future__ import annotations

import json
import re
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import FORMATS, render
from moto.dynamodb.models.dynamo_type import Item

from local import messages
from local.__main__ import main
from local.arrivals import Arrivals
from local.clock import LocalClock
from local.functions import functions_running
from local.receiver import Post, Receiver
from local.servers import DemoServer
from local.stack import Stack, published
from local.template import Template
from tests.integration.conftest import Account, Invoke
from tests.support.messages import finished

PATIENCE_SECONDS = 60


def test_on_a_fast_clock_a_backup_that_never_starts_is_reported(
    account: Account, stack: Stack, template: Template
) -> None:
    arrived = threading.Event()
    clock = LocalClock(speed=3600)
    silent = DemoServer("SILENT", schedule="0 0 * * * ?").changed(clock()) | {"clcAccountAlias": account.alias}

    def on_post(post: Post) -> None:
        arrived.set()

    with Receiver(on_post) as receiver:
        account.set_target(EventType.MISSING, receiver.url)
        messages.send(stack, json.dumps(silent))
        with functions_running(template, stack, clock):
            assert arrived.wait(PATIENCE_SECONDS)

    assert json.loads(receiver.posts[0].body)["text"].startswith("SILENT missed a backup expected at ")


@pytest.fixture
def restless() -> Iterator[None]:
    """Switch between moto's threads, which are in this process, as often as possible."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_of_conditional_writes_at_the_same_time_one_succeeds(stack: Stack, restless: None) -> None:
    dynamodb, table = stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"]
    # Read before the threads start, as `clients.dynamodb` explains.
    refused = dynamodb.exceptions.ConditionalCheckFailedException

    def claim(key: str) -> int:
        try:
            dynamodb.update_item(
                TableName=table,
                Key={"account": {"S": key}, "serverPolicyId": {"S": key}},
                ConditionExpression="attribute_not_exists(serverPolicyId)",
                UpdateExpression="SET claimed = :yes",
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        except refused:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        won = [sum(threads.map(claim, [str(uuid.uuid4())] * 8)) for _ in range(20)]

    assert won == [1] * 20


def test_copies_of_transactions_are_not_kept(stack: Stack, account: Account) -> None:
    """A thousand transactions would keep gigabytes."""
    before = len(Item.instances_tracked)
    client, table = stack.client("dynamodb"), stack.outputs["WebhooksTableName"]
    for number in range(3):
        put = {"TableName": table, "Item": {"account": {"S": account.alias}, "target": {"S": f"test#{number}"}}}
        client.transact_write_items(TransactItems=[{"Put": put}])

    assert len(Item.instances_tracked) == before


def test_a_transaction_whose_condition_fails_changes_nothing(stack: Stack, account: Account) -> None:
    client, table = stack.client("dynamodb"), stack.outputs["WebhooksTableName"]

    def operation(kind: str, target: str, account: str, **more: Any) -> dict[str, Any]:
        key = {"account": {"S": account}, "target": {"S": target}}
        return {kind: {"TableName": table, "Item" if kind == "Put" else "Key": key, **more}}

    def items() -> list[Any]:
        return [
            client.query(
                TableName=table,
                KeyConditionExpression="account = :account",
                ExpressionAttributeValues={":account": {"S": alias}},
            )["Items"]
            for alias in (account.alias, f"{account.alias}2")
        ]

    change = {"UpdateExpression": "SET changes = :n", "ExpressionAttributeValues": {":n": {"L": [{"N": "1"}]}}}
    held = {"ConditionExpression": "attribute_exists(account)"}
    for alias in (account.alias, f"{account.alias}2"):
        client.transact_write_items(TransactItems=[operation("Put", target, alias) for target in ("kept", "deleted")])
    before = items()
    everywhere = [
        *(operation("Update", "kept", alias, **change) for alias in (account.alias, f"{account.alias}2")),
        *(operation("Delete", "deleted", alias) for alias in (account.alias, f"{account.alias}2")),
        operation("Put", "new", account.alias),
    ]

    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[*everywhere, operation("Delete", "none", account.alias, **held)])
    assert items() == before

    client.transact_write_items(TransactItems=everywhere)
    assert [sorted(item["target"]["S"] for item in partition) for partition in items()] == [["kept", "new"], ["kept"]]
    assert all({"L": [{"N": "1"}]} in item.values() for partition in items() for item in partition if len(item) > 2)


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_demo_shows_what_arrives_in_any_format(format_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    body = render(format_name, example_event("TEST", EventType.FAILURE, datetime.now(UTC)))

    assert Arrivals().on_post(Post("/", {}, body, 0.0)) == 200
    assert "TEST-MESSAGE" in capsys.readouterr().out


def test_the_local_clock_runs_as_many_times_as_fast_as_set() -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)

    assert LocalClock(10, started=hour_ago)() - hour_ago >= timedelta(hours=10)


def test_the_local_clock_runs_on_from_where_it_is_set() -> None:
    clock, night = LocalClock(), datetime(2030, 1, 1, tzinfo=UTC)

    clock.set(night)
    first, second = clock(), clock()

    assert night <= first <= second < night + timedelta(hours=1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["webhook", "set", "TEST", "Backup.Failure", "ftp://example.com"], "targetUri: must begin with https://"),
        (["webhook", "set", "TEST", "Backup.Failure", "https://x.example", "--header", "Host: y"], "headers['Host']: "),
        (["policy", "put", "TEST", "S", "--schedule", "0 0 25 * * ?"], "$.backupSchedule: hours: '25'"),
        (["policy", "put", "TEST", "S", "--schedule", "0 0 0 30 2 ?"], "$.backupSchedule: never fires"),
        (["policy", "put", "TEST", "S", "--interval-hours", "6", "--timezone", "Mars"], "$.timezone: must be an IANA"),
        (["policy", "put", "TEST", "S", "--interval-hours", "0"], "$.backupIntervalHours: "),
        (["send", "events/there-is-none.json"], "send: "),
    ],
)
def test_the_command_line_names_what_it_cannot_use(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert error in capsys.readouterr().err


def test_a_target_and_its_deliveries_are_handled_from_the_command_line(
    account: Account,
    stack: Stack,
    notifier: Invoke,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # The file of a stack that runs beside the tests is not used.
    monkeypatch.setattr("local.stack.STACK_FILE", tmp_path / "stack.json")

    def said(*arguments: str, status: int = 0) -> str:
        assert main(list(arguments)) == status
        captured = capsys.readouterr()
        return captured.err if status else captured.out

    url, event = "http://127.0.0.1:9/dead", "Backup.Failure"
    # The log is read day by day, up to now.
    end = iso_milliseconds(datetime.now(UTC) - timedelta(minutes=1))
    with published(stack):
        shown = said("webhook", "set", account.alias, event, url, "--header", "X-Team: s3cret").split()[-1]
        again = said("webhook", "set", account.alias, event, url, "--delivery", "retry", "--off")
        target_id = account.target().target_id
        key = f"{end}#{event}#rp-1#{target_id}.847a41dd"
        rotated = said("webhook", "rotate", account.alias, target_id).split()[-1]
        assert shown.startswith("whsec_")
        assert rotated.startswith("whsec_")
        assert "whsec_" not in again
        said("webhook", "set", account.alias, f"{event},Backup.Missing", url)
        assert account.target().event_types == (EventType.FAILURE, EventType.MISSING)
        notifier(finished(account.alias, restorePointId="rp-1", backupFinishedDate=end))

        listed = said("webhook", "list", account.alias)
        assert "1 failures since" in listed
        assert "connection refused" in listed
        assert "whsec_" not in listed
        assert "s3cret" not in listed
        since = ("--since", end)
        assert re.search(rf"failed +1 +- +\d+ +connection refused +{key}", said("deliveries", account.alias, *since))
        assert said("replay", "failed", account.alias, *since) == "1 to be attempted anew\n"
        assert said("replay", "delivery", account.alias, key) == "1 to be attempted anew\n"
        assert "no such delivery" in said("replay", "delivery", account.alias, "2018-12-20T#none", status=1)
        assert "overlap: " in said("webhook", "rotate", account.alias, target_id, "--overlap-hours", "169", status=1)

        said("webhook", "remove", account.alias, target_id)
        assert url not in said("webhook", "list", account.alias)
        assert "no such target" in said("webhook", "rotate", account.alias, target_id, status=1)
