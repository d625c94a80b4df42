"""The notifier when DynamoDB fails after the POST, and when its process is killed.

`tests/faults` covers a fault and a kill at each of its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.messages import BackupFinished, EventType, parse_message
from backup_webhooks.events.timestamps import utc_now

from local.receiver import Post, Receiver
from local.stack import Stack
from local.template import Template
from local.worker import FunctionError, Worker
from tests.integration.conftest import Account, Invoke
from tests.support.fault_proxy import Answer, Call, FaultProxy, internal_server_error
from tests.support.messages import failed_ids, finished, sqs_event
from tests.world.world import World

NotifierAt = Callable[[str], Invoke]


def is_claim(call: Call) -> bool:
    return call.operation == "UpdateItem" and "claimedUntil" in call.parameters.get("ConditionExpression", "")


def is_record(call: Call) -> bool:
    return call.operation == "UpdateItem" and call.parameters.get("ConditionExpression") == "claimToken = :token"


def answer_is_lost(call: Call) -> Answer:
    """The call takes effect, but the caller gets an error."""
    call.forward()
    return internal_server_error()


def fail(
    proxy: FaultProxy, matches: Callable[[Call], bool], answer: Callable[[Call], Answer], times: int | None = None
) -> None:
    """Answer the first `times` matching calls (None: all of them) in that way."""
    matched: list[Call] = []

    def behaviour(call: Call) -> Answer:
        if matches(call) and (times is None or len(matched) < times):
            matched.append(call)
            return answer(call)
        return call.forward()

    proxy.behaviour = behaviour


@pytest.mark.parametrize("matches", [is_claim, is_record])
def test_a_write_whose_answer_is_lost_is_recognised(
    matches: Callable[[Call], bool],
    account: Account,
    notifier_at: NotifierAt,
    dynamodb_proxy: FaultProxy,
    receiver: Receiver,
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    fail(dynamodb_proxy, matches, answer_is_lost, times=1)

    assert failed_ids(notifier_at(dynamodb_proxy.url)(finished(account.alias))) == []

    assert len(receiver.posts) == 1
    assert [entry["state"] for entry in account.deliveries()] == ["delivered"]


@contextmanager
def function_process(stack: Stack, template: Template, log: Path) -> Iterator[Worker]:
    name = "NotifierFunction"
    worker = Worker(stack.functions()[name], template.sources[name], stack, log)
    try:
        yield worker
    finally:
        worker.close()


def test_a_function_killed_between_claim_and_post_loses_nothing(
    account: Account,
    stack: Stack,
    world: World,
    template: Template,
    notifier: Invoke,
    dynamodb_proxy: FaultProxy,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    body = finished(account.alias)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
    with function_process(stack, template, tmp_path / "log") as worker:

        def kill_when_claimed(call: Call) -> Answer:
            answer = call.forward()
            if is_claim(call):
                worker.process.kill()
                worker.process.wait()
            return answer

        dynamodb_proxy.behaviour = kill_when_claimed
        with pytest.raises(FunctionError):
            worker.invoke(sqs_event(body))

    assert receiver.posts == []
    assert [entry["state"] for entry in account.deliveries()] == ["claimed"]

    # While the killed function could still run, no other takes its claim.
    assert failed_ids(notifier(body)) == ["message-0"]
    assert receiver.posts == []

    # After the function's timeout, the next receive posts.
    world.now = utc_now() + timedelta(seconds=stack.functions()["NotifierFunction"].timeout + 1)
    (outcome,) = world.notifier.handle(body, world.now + timedelta(seconds=60)).outcomes or ()

    assert outcome.result is not None
    assert outcome.result.delivered
    assert len(receiver.posts) == 1
    (entry,) = account.deliveries()
    assert (entry["state"], entry["attempts"]) == ("delivered", 1)
    assert failed_ids(notifier(body)) == []
    assert len(receiver.posts) == 1


def test_a_function_that_lost_its_claim_does_not_overwrite_the_next_ones_result(account: Account, world: World) -> None:
    """A function that was taken for dead continues after its claim has lapsed and the delivery was made."""
    event = parse_message(finished(account.alias))
    assert isinstance(event, BackupFinished)

    def take_over(post: Post) -> int:
        if len(slow.posts) == 2:
            return 200
        world.now += timedelta(seconds=61)
        world.notifier.deliverer.deliver(due, target, world.now + timedelta(seconds=60))
        outcomes.extend(account.deliveries())
        return 503

    outcomes: list[dict[str, object]] = []
    with Receiver(on_post=take_over) as slow:
        target = account.set_target(EventType.FAILURE, slow.url)
        due = AttemptDue.first(Delivery.of(event, target), world.now)
        world.notifier.deliverer.deliver(due, target, world.now + timedelta(seconds=60))

    assert account.deliveries() == outcomes
    assert [outcome["state"] for outcome in outcomes] == ["delivered"]
