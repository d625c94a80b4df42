"""The redeliverer as Lambda runs it, in its own process: killed after each step, and its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, encode_retry_message
from backup_webhooks.events.messages import BackupMissed, EventType, parse_message
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.targets.target import DeliveryMode, Target

from local.receiver import Post, Receiver
from local.stack import Stack
from local.targets import save_target
from local.template import Template
from local.worker import FunctionError, Worker
from tests.integration.conftest import Account
from tests.support.fault_proxy import Answer, Call, FaultProxy, internal_server_error
from tests.support.messages import failed_ids, missed, sqs_event
from tests.world.endpoints import Endpoint
from tests.world.world import World

MISSING = EventType.MISSING


def attempt_due(account: Account, target: Target, attempt: int = 2) -> str:
    """Return a message for an attempt, by default the second, due now."""
    event = parse_message(missed(account.alias))
    assert isinstance(event, BackupMissed)
    first = AttemptDue.first(Delivery.of(event, target), utc_now())
    return encode_retry_message(first.retry(utc_now()) if attempt == 2 else first)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "RedelivererFunction.log"


@pytest.fixture
def worker(
    stack: Stack,
    template: Template,
    log: Path,
    dynamodb_proxy: FaultProxy,
    sqs_proxy: FaultProxy,
    new_queue: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Worker]:
    with monkeypatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        environment.setenv("AWS_ENDPOINT_URL_SQS", sqs_proxy.url)
        name = "RedelivererFunction"
        queues = {"RETRY_QUEUE_URL": new_queue(), "RETRY_DEAD_LETTER_QUEUE_URL": new_queue()}
        worker = Worker(stack.functions()[name], template.sources[name], stack, log, queues)
    yield worker
    worker.close()


STEPS: dict[str, Callable[[Call], bool]] = {
    "claim": lambda call: "claimedUntil = :until" in call.parameters.get("UpdateExpression", ""),
    "record": lambda call: call.parameters.get("ConditionExpression") == "claimToken = :token",
    "next": lambda call: call.operation == "SendMessage",
}


def sent(sqs_proxy: FaultProxy) -> list[str]:
    return [call.parameters["MessageBody"] for call in sqs_proxy.calls if call.operation == "SendMessage"]


def carry_on(world: World, bodies: list[str]) -> None:
    """Receive the messages again, once the function that was killed has certainly ended."""
    world.now = utc_now() + timedelta(minutes=3)
    for body in bodies:
        world.retries.send(body)
    world.settle()


# `tests/faults` kills it after each step.
@pytest.mark.parametrize("step", ["claim", "post", "next", "record"])
def test_killed_after_a_step_it_loses_nothing_and_repeats_only_a_post_in_flight(
    account: Account,
    worker: Worker,
    world: World,
    dynamodb_proxy: FaultProxy,
    sqs_proxy: FaultProxy,
    step: str,
) -> None:
    def kill() -> None:
        worker.process.kill()
        worker.process.wait()

    def kill_after(call: Call) -> Answer:
        answer = call.forward()
        if step != "post" and STEPS[step](call):
            kill()
        return answer

    endpoint = Endpoint(503, 503, 200)

    def on_post(post: Post) -> int:
        if step == "post" and not endpoint.posts:
            kill()
        return endpoint(post)

    dynamodb_proxy.behaviour = sqs_proxy.behaviour = kill_after
    with Receiver(on_post) as receiver:
        body = attempt_due(account, account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY))
        with pytest.raises(FunctionError):
            worker.invoke(sqs_event(body))
        carry_on(world, [body, *sent(sqs_proxy)])

    # A kill between POST and record loses the answer of one POST.
    assert sum(endpoint.posts.values()) == 3
    (entry,) = account.deliveries()
    assert (entry["state"], entry["attempts"]) == ("delivered", 3 if step in ("post", "next") else 4)


def test_if_the_claim_fails_the_message_comes_again(
    account: Account, worker: Worker, world: World, dynamodb_proxy: FaultProxy, log: Path
) -> None:
    dynamodb_proxy.behaviour = lambda call: internal_server_error() if STEPS["claim"](call) else call.forward()
    endpoint = Endpoint(503, 200)
    with Receiver(endpoint) as receiver:
        body = attempt_due(account, account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY))
        assert failed_ids(worker.invoke(sqs_event(body))) == ["message-0"]
        counted = [line for line in map(json.loads, log.read_text().splitlines()) if "_aws" in line]
        assert [line["RecordsFailed"] for line in counted] == [[1.0]]
        carry_on(world, [body])

    assert sum(endpoint.posts.values()) == 2
    (entry,) = account.deliveries()
    assert (entry["state"], entry["attempts"]) == ("delivered", 3)


def test_the_metrics_count_attempts_and_last_attempts(
    account: Account, worker: Worker, log: Path, receiver: Receiver
) -> None:
    good = account.set_target(MISSING, receiver.url)
    dead = account.set_target(MISSING, "http://127.0.0.1:1/", delivery=DeliveryMode.RETRY)
    last = json.loads(attempt_due(account, dead)) | {"retries": 3}

    worker.invoke(sqs_event(attempt_due(account, good), json.dumps(last), "not a message"))

    (counted,) = (line for line in map(json.loads, log.read_text().splitlines()) if "_aws" in line)
    assert {name: counted[name] for name in ("Posted", "Failed", "Exhausted", "Rejected")} == {
        "Posted": [1.0],
        "Failed": [1.0],
        "Exhausted": [1.0],
        "Rejected": [1.0],
    }


def test_no_log_line_carries_a_url_a_secret_or_a_header(
    account: Account, worker: Worker, log: Path, receiver: Receiver
) -> None:
    headers = {"authorization": "Bearer s3cret"}
    good = Target(account.alias, [MISSING], f"{receiver.url}/services/s3cret", headers=headers)
    dead = Target(account.alias, [MISSING], "http://127.0.0.1:1/services/s3cret", headers=headers)
    secrets = [save_target(account.targets, target) for target in (good, dead)]

    worker.invoke(sqs_event(attempt_due(account, good), attempt_due(account, dead), "{}"))

    (post,) = receiver.posts
    assert post.headers["authorization"] == "Bearer s3cret"
    assert "webhook-signature" in post.headers
    written = log.read_text()
    assert "not delivered" in written
    assert "s3cret" not in written
    assert not any(secret.value in written for secret in secrets if secret)
    assert "whsec_" not in written
