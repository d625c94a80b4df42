"""The handler of missed_backups on the template's table and queue, from the tick to the customer's endpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.aws import clients
from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import EventType, encode_message
from backup_webhooks.monitoring.items import policy_item
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore

from local.receiver import Receiver
from local.stack import Stack
from local.template import Template
from local.worker import FunctionError, Worker
from tests.integration.conftest import Account, Handler, Invoke
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.messages import Context
from tests.support.policies import LONG_AGO, at, changed, every, finished, no_policies, record, started
from tests.support.queue import queued

# The watermark is 18:05 that day, and the grace period has long passed.
TICK = "2018-12-20T18:13:00Z"
# moto reads all items at each query, so only a real engine gets the full size.
REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB" in os.environ
LARGE = 5_000 if REAL_ENGINE else 1_000
Tick = Callable[..., dict[str, int]]


@pytest.fixture
def policies(stack: Stack) -> ServerPoliciesStore:
    """ServerPoliciesTable, empty except for the watermark 18:05, and an empty queue."""
    client, table = stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"]
    no_policies(stack)
    queued(stack)
    seen = SeenHeartbeat(at("12-20 18:05"), at("12-20 18:06"))
    WatermarkStore(client, table).save_tick(Watermark(seen=(seen,), ran_at=at("12-20 18:12"), resumed_at=LONG_AGO))
    return ServerPoliciesStore(client, table)


@pytest.fixture
def tick(policies: ServerPoliciesStore, handler_of: Callable[..., Handler]) -> Tick:
    """The handler, in the function's environment."""
    handler = handler_of("missed_backups")
    return lambda time=TICK, **context: dict(handler({"time": time}, Context(**context)))


def missed(stack: Stack) -> list[dict[str, Any]]:
    return [body for body in queued(stack) if body["type"] == "BackupMissed"]


def test_a_missed_backup_reaches_the_customer_with_the_faqs_words(
    account: Account, stack: Stack, policies: ServerPoliciesStore, tick: Tick, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(EventType.MISSING, receiver.url)
    mine = {"account_alias": account.alias}
    for message in (
        every(6, "12-20 10:00", clc_account_alias=account.alias),
        finished("12-20 10:30", "2018-12-20T11:00:06.476Z", **mine),
    ):
        notifier(encode_message(message))
    assert receiver.posts == []

    assert tick() == {"due": 1, "sent": 1}
    (body,) = missed(stack)
    notifier(json.dumps(body))

    (post,) = receiver.posts
    assert json.loads(post.body) == {
        "text": "testServerId20181228013921 missed a backup expected at 2018-12-20T17:00:06.476Z for policy "
        "[TestAccountPolicyName20181228013921] with server policy id [e6ac019b-c646-359a-83a4-b81b5cc1c512] "
        "and storage region [US WEST]"
    }


def test_a_miss_is_reported_once_and_so_is_the_next(stack: Stack, policies: ServerPoliciesStore, tick: Tick) -> None:
    record(policies, changed("12-20 09:00"))

    assert [tick() for _ in range(3)] == [{"due": 1, "sent": 1}] + 2 * [{"due": 0, "sent": 0}]

    assert [body["expectedDate"] for body in missed(stack)] == ["2018-12-20T17:00:00.000Z"]
    assert [policy.expected_at for policy in policies.of_account("TEST")] == [at("12-21 17:00")]


def test_a_server_that_started_is_left_alone(policies: ServerPoliciesStore, tick: Tick) -> None:
    record(policies, started("12-20 17:59"))
    record(policies, changed("12-20 09:00"))

    assert tick() == {"due": 0, "sent": 0}


def test_a_tick_sends_a_heartbeat_that_the_notifier_records(
    stack: Stack, policies: ServerPoliciesStore, tick: Tick, notifier: Invoke
) -> None:
    tick()
    (heartbeat,) = queued(stack)
    assert heartbeat == {"type": "Heartbeat", "sentDate": "2018-12-20T18:13:00.000Z"}

    notifier(json.dumps(heartbeat), json.dumps(heartbeat | {"sentDate": "2018-12-20T18:00:00Z"}))

    assert WatermarkStore(policies.client, policies.table).load().newest_read == at("12-20 18:13")


def test_without_a_watermark_nothing_is_judged(stack: Stack, policies: ServerPoliciesStore, tick: Tick) -> None:
    record(policies, changed("12-20 09:00"))
    WatermarkStore(policies.client, policies.table).save_tick(Watermark(ran_at=at("12-20 18:12")))

    assert tick() == {"due": 0, "sent": 0}


def test_two_ticks_at_the_same_time_post_once(
    account: Account, stack: Stack, policies: ServerPoliciesStore, tick: Tick, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(EventType.MISSING, receiver.url)
    record(policies, changed("12-20 09:00", clc_account_alias=account.alias))

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda _: tick(), range(2)))
    for body in missed(stack):
        notifier(json.dumps(body))

    assert len(receiver.posts) == 1
    assert [policy.expected_at for policy in policies.of_account(account.alias)] == [at("12-21 17:00")]


@pytest.fixture
def proxies(stack: Stack) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    with (
        FaultProxy(stack.client("dynamodb").meta.endpoint_url) as dynamodb,
        FaultProxy(stack.client("sqs").meta.endpoint_url) as sqs,
    ):
        yield dynamodb, sqs


# After each call in turn: tests/faults.
@pytest.mark.parametrize("step", ["Query", "SendMessageBatch"])
def test_a_tick_whose_process_is_killed_after_a_call_loses_no_miss_and_posts_none_twice(
    step: str,
    account: Account,
    stack: Stack,
    template: Template,
    policies: ServerPoliciesStore,
    tick: Tick,
    notifier: Invoke,
    receiver: Receiver,
    proxies: tuple[FaultProxy, FaultProxy],
    tmp_path: Path,
) -> None:
    account.set_target(EventType.MISSING, receiver.url)
    record(policies, changed("12-20 09:00", clc_account_alias=account.alias))
    dynamodb, sqs = proxies
    function = stack.functions()["MissedBackupsFunction"]
    elsewhere = {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url, "AWS_ENDPOINT_URL_SQS": sqs.url}
    worker = Worker(function, template.sources[function.name], stack, tmp_path / "log", elsewhere)

    def kill_at_step(call: Call) -> Answer:
        if call.operation != step:
            return call.forward()
        answer = call.forward()
        worker.process.kill()
        worker.process.wait()
        return answer

    dynamodb.behaviour = sqs.behaviour = kill_at_step
    try:
        with pytest.raises(FunctionError):
            worker.invoke({"time": TICK})
    finally:
        worker.close()

    tick("2018-12-20T18:14:00Z")
    for body in missed(stack):
        notifier(json.dumps(body))

    assert len(receiver.posts) == 1
    assert [policy.expected_at for policy in policies.of_account(account.alias)] == [at("12-21 17:00")]


def fill(policies: ServerPoliciesStore, count: int, on: str) -> None:
    """Write `count` active policies with the same expected start, in bulk."""
    tracked = (
        TrackedPolicy("TEST", f"policy-{number}").after(
            changed(on, server_policy_id=f"policy-{number}", server_id=f"server-{number}")
        )
        for number in range(count)
    )
    for batch in batched(tracked, 25, strict=False):
        puts = [{"PutRequest": {"Item": to_item(policy_item(policy))}} for policy in batch]
        policies.client.batch_write_item(RequestItems={policies.table: puts})


def test_a_tick_with_little_time_leaves_the_rest_to_the_next(
    stack: Stack, policies: ServerPoliciesStore, tick: Tick
) -> None:
    fill(policies, 40, "12-20 09:00")

    assert tick(remaining_milliseconds=10_000)["sent"] == 0
    assert tick("2018-12-20T18:14:00Z")["sent"] == 40
    assert len(missed(stack)) == 40


def test_thousands_missed_at_once_are_all_sent_and_memory_stays_flat(
    stack: Stack,
    template: Template,
    policies: ServerPoliciesStore,
    proxies: tuple[FaultProxy, FaultProxy],
    tmp_path: Path,
) -> None:
    _, sqs = proxies
    sent: list[str] = []

    def take(call: Call) -> Answer:
        """Answer in place of the queue: moto's sends slow down with a queue's length, those of SQS do not."""
        entries = call.parameters.get("Entries", [])
        sent.extend(json.loads(entry["MessageBody"])["serverPolicyId"] for entry in entries)
        return 200, json.dumps({"MessageId": "1", "Successful": [{"Id": entry["Id"]} for entry in entries]}).encode()

    sqs.behaviour = take
    function = stack.functions()["MissedBackupsFunction"]
    worker = Worker(
        function, template.sources[function.name], stack, tmp_path / "log", {"AWS_ENDPOINT_URL_SQS": sqs.url}
    )
    fill(policies, 200, "12-20 09:00")
    ticks = [worker.invoke({"time": TICK})]
    few = peak_kib(worker)
    fill(policies, LARGE, "12-20 09:00")
    # As many as this machine needs: a slow one's tick ends before all are sent.
    while len(set(sent)) < LARGE and len(ticks) < 40:
        ticks.append(worker.invoke({"time": f"2018-12-20T18:{13 + len(ticks)}:00Z"}))
    ticks.append(worker.invoke({"time": "2018-12-20T18:59:00Z"}))
    many = peak_kib(worker)
    worker.close()

    assert len(set(sent)) == LARGE
    assert ticks[-1]["sent"] == 0
    assert many < few * 1.25


def peak_kib(worker: Worker) -> int:
    """Return the most memory that the function's process has used, in KiB."""
    status = Path(f"/proc/{worker.process.pid}/status")
    if not status.exists():
        pytest.skip("the peak of a process is read from /proc")
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


def test_a_backup_that_starts_while_the_index_is_read_is_no_miss(
    policies: ServerPoliciesStore, proxies: tuple[FaultProxy, FaultProxy], tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(policies, changed("12-20 09:00"))
    dynamodb, _ = proxies
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url)
    clients.dynamodb.cache_clear()

    def start(call: Call) -> Answer:
        if call.operation == "BatchGetItem":
            record(policies, started("12-20 17:59"))
        return call.forward()

    dynamodb.behaviour = start

    assert tick() == {"due": 0, "sent": 0}
    assert "BatchGetItem" in {call.operation for call in dynamodb.calls}


def test_a_tick_with_nothing_due_reads_as_much_of_a_large_table_as_of_a_small_one(
    policies: ServerPoliciesStore, proxies: tuple[FaultProxy, FaultProxy], tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb, _ = proxies
    small, large = (1_000, 20_000) if REAL_ENGINE else (100, 2_000)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url)
    clients.dynamodb.cache_clear()
    reads: list[tuple[str, int, float]] = []

    def note(call: Call) -> Answer:
        if call.operation not in ("Query", "GetItem", "BatchGetItem", "Scan"):
            return call.forward()
        call.parameters["ReturnConsumedCapacity"] = "TOTAL"
        status, answer = call.forward()
        read = json.loads(answer)
        reads.append((call.operation, read.get("ScannedCount", 1), read["ConsumedCapacity"]["CapacityUnits"]))
        return status, answer

    dynamodb.behaviour = note
    totals = []
    for count in (small, large):
        fill(policies, count, "12-20 18:00")
        reads.clear()
        assert tick() == {"due": 0, "sent": 0}
        totals.append(sorted(reads))

    assert totals[0] == totals[1]
    assert sum(items for _, items, _ in totals[1]) == 1


def test_a_tick_without_its_time_is_refused(tick: Tick) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        tick(None)


def test_a_schedule_that_cannot_be_kept_is_refused_by_field(stack: Stack, notifier: Invoke) -> None:
    bad = encode_message(changed("12-20 09:00", backup_schedule="0 0 0 30 2 ?"))

    assert notifier(bad)["batchItemFailures"] == [{"itemIdentifier": "message-0"}]
