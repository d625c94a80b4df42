"""Targets with retries: the times of their attempts, the delivery records, and replays."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.retry_schedule import JITTER
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode

from local.dead_letters import move_all
from local.receiver import Post, Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.integration.deliveries.conftest import DELAYS
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.messages import failed_ids, finished
from tests.world.endpoints import Endpoint, Times
from tests.world.world import World

FAILURE = EventType.FAILURE


def entry(account: Account) -> dict[str, Any]:
    (only,) = account.deliveries()
    return only


def run_with(world: World, account: Account, endpoint: Times, **settings: Any) -> None:
    endpoint.world = world
    with Receiver(endpoint) as receiver:
        account.set_target(FAILURE, receiver.url, **settings)
        world.send(finished(account.alias))
        world.settle()


class TestTheSchedule:
    def test_an_endpoint_that_fails_twice_gets_its_message_at_the_third_attempt(
        self, account: Account, world: World
    ) -> None:
        endpoint = Times(503, 500, 200)

        run_with(world, account, endpoint, delivery=DeliveryMode.RETRY)

        assert len(endpoint.posts) == 3
        assert {post.headers["webhook-id"] for _, post in endpoint.posts} == {entry(account)["webhookId"]}
        assert len({post.body for _, post in endpoint.posts}) == 1
        assert (entry(account)["state"], entry(account)["attempts"]) == ("delivered", 3)

    def test_each_retry_waits_its_step_of_the_schedule(self, account: Account, world: World) -> None:
        endpoint = Times(503)

        run_with(world, account, endpoint, delivery=DeliveryMode.RETRY)

        assert len(endpoint.pauses) == len(DELAYS)
        for pause, delay in zip(endpoint.pauses, DELAYS, strict=True):
            # SQS counts whole seconds, rounded up.
            assert delay * (1 - JITTER) <= pause <= delay * (1 + JITTER) + timedelta(seconds=1)

    def test_after_the_last_step_the_delivery_is_in_the_dead_letter_queue(self, account: Account, world: World) -> None:
        run_with(world, account, Times(503), delivery=DeliveryMode.RETRY)

        assert (entry(account)["state"], entry(account)["attempts"]) == ("exhausted", 4)
        (message,) = world.dead_letters.messages
        assert json.loads(message.body)["attempt"] == 5

    def test_a_single_attempt_is_the_default(self, account: Account, world: World) -> None:
        endpoint = Times(503)

        run_with(world, account, endpoint)

        assert len(endpoint.posts) == 1
        assert (entry(account)["state"], entry(account)["attempts"]) == ("failed", 1)
        assert not world.dead_letters.messages

    def test_between_attempts_the_log_says_when_the_next_will_be(self, account: Account, world: World) -> None:
        with Receiver(Endpoint(503)) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle(within=timedelta(seconds=1))

        planned = datetime.fromisoformat(entry(account)["retryAt"]) - datetime.fromisoformat(
            entry(account)["claimedAt"]
        )
        assert entry(account)["state"] == "retrying"
        assert timedelta(seconds=4) <= planned <= timedelta(seconds=6)

    def test_settings_are_those_of_the_time_of_the_attempt(self, account: Account, world: World) -> None:
        endpoint = Times(503, 200)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, headers={"x-team": "night"})
            world.send(finished(account.alias))
            world.settle(within=timedelta(seconds=1))
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, headers={"x-team": "day"})
            world.settle()

        assert [post.headers["x-team"] for _, post in endpoint.posts] == ["night", "day"]

    def test_a_body_keeps_its_content_type_though_the_target_has_another_format_by_then(
        self, account: Account, world: World
    ) -> None:
        endpoint = Times(503, 200)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, format="cloudevents")
            world.send(finished(account.alias))
            world.settle(within=timedelta(seconds=1))
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, format="text")
            world.settle()

        assert [post.headers["content-type"] for _, post in endpoint.posts] == ["application/cloudevents+json"] * 2
        assert len({post.body for _, post in endpoint.posts}) == 1

    @pytest.mark.parametrize(("change", "reason"), [("removed", "removed"), ("off", "switched off")])
    def test_a_target_that_is_removed_or_switched_off_is_not_called_again(
        self, account: Account, world: World, change: str, reason: str
    ) -> None:
        endpoint = Times(503)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            target = account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle(within=timedelta(seconds=1))
            if change == "removed":
                account.remove(target)
            else:
                account.set_target(FAILURE, receiver.url, enabled=False)
            world.settle()

        assert len(endpoint.posts) == 1
        assert (entry(account)["state"], entry(account)["attempts"]) == ("failed", 1)
        assert entry(account)["error"] == f"not attempted: the target was {reason}"
        assert not world.dead_letters.messages


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("value", "least", "most"),
        [
            ("120", 120, 145),
            ("date", 120, 145),
            ("0", 4, 7),
            ("-5", 4, 7),
            ("soon", 4, 7),
            ("120, 240", 4, 7),
            ("1e9", 4, 7),
            ("9" * 60, 36_000, 43_201),
            ("9" * 5_000, 36_000, 43_201),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 36_000, 43_201),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 4, 7),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_a_pause_is_as_long_as_asked_for_up_to_ten_hours(
        self, account: Account, world: World, status: int, value: str, least: int, most: int
    ) -> None:
        if value == "date":
            value = f"{world.now + timedelta(seconds=120):%a, %d %b %Y %H:%M:%S GMT}"
        posts: list[datetime] = []

        def on_post(_: Post) -> tuple[int, dict[str, str]] | int:
            posts.append(world.now)
            return (status, {"retry-after": value}) if len(posts) == 1 else 200

        with Receiver(on_post) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle()

        first, second = posts
        assert timedelta(seconds=least) <= second - first <= timedelta(seconds=most)


class TestReplay:
    def test_one_delivery_is_attempted_anew_under_its_webhook_id(self, account: Account, world: World) -> None:
        endpoint = Times(503, 200)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            world.send(finished(account.alias))
            world.settle()
            for _ in range(2):  # two requests make one replay
                world.functions.api.replays.one(account.alias, entry(account)["delivery"])
            world.settle()

        assert len(endpoint.posts) == 2
        assert len({post.headers["webhook-id"] for _, post in endpoint.posts}) == 1
        assert (entry(account)["state"], entry(account)["attempts"]) == ("delivered", 2)

    def test_a_successful_delivery_can_be_replayed_too(self, account: Account, world: World) -> None:
        endpoint = Times(200)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            world.send(finished(account.alias, restorePointId="rp #1#"))
            world.settle()
            world.functions.api.replays.one(account.alias, entry(account)["delivery"])
            world.settle()

        assert len(endpoint.posts) == 2
        assert (entry(account)["state"], entry(account)["attempts"]) == ("delivered", 2)

    def test_a_replay_of_a_target_with_retries_has_all_of_them_again(self, account: Account, world: World) -> None:
        endpoint = Times(503)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle()
            world.functions.api.replays.one(account.alias, entry(account)["delivery"])
            world.settle()

        assert len(endpoint.posts) == 2 * (1 + len(DELAYS))
        assert (entry(account)["state"], entry(account)["attempts"]) == ("exhausted", 8)

    def test_an_unknown_delivery_is_refused(self, account: Account, world: World) -> None:
        with pytest.raises(LookupError):
            world.functions.api.replays.one(
                account.alias, "2018-12-20T01:39:38.000Z#Backup.Failure#rp#0123456789abcdef"
            )

    def test_all_failed_since_a_time_and_no_other(self, account: Account, world: World) -> None:
        dates = ["2018-12-18T12:00:00Z", "2018-12-19T12:00:00Z", "2018-12-19T12:00:00.001Z", "2018-12-20T23:59:59.999Z"]
        world.now = datetime(2018, 12, 21, tzinfo=UTC)
        endpoint = Endpoint(503)
        with Receiver(endpoint) as receiver, Receiver() as good:
            account.set_target(FAILURE, receiver.url)
            account.set_target(EventType.SUCCESS, good.url)
            for date in dates:
                world.send(finished(account.alias, backupFinishedDate=date))
                world.send(finished(account.alias, backupFinishedDate=date, restorePointCreationStatus="SUCCESS"))
            world.settle()
            endpoint.statuses = [200]
            count = world.functions.api.replays.undelivered_since(
                account.alias, datetime(2018, 12, 19, 12, tzinfo=UTC)
            ).count
            world.settle()

        assert count == 3
        assert sum(endpoint.posts.values()) == 4 + 3
        assert len(good.posts) == 4
        states = [one["state"] for day in ("2018-12-18", "2018-12-19", "2018-12-20") for one in account.deliveries(day)]
        assert states.count("failed") == 1

    def test_dead_letters_are_redriven(
        self, account: Account, stack: Stack, world: World, new_queue: Callable[[], str], redeliverer: Invoke
    ) -> None:
        """On real queues, usable messages are redriven once, and unusable ones stay."""
        sqs = stack.client("sqs")
        retry_queue, dead_letters = RetryQueue(sqs, new_queue()), RetryQueue(sqs, new_queue())
        endpoint = Endpoint(503)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle()
            (message,) = world.dead_letters.messages
            for body in (message.body, "not a message"):
                sqs.send_message(QueueUrl=dead_letters.url, MessageBody=body)
            endpoint.statuses = [200]

            assert move_all(dead_letters, retry_queue, world.now) == 1
            (moved,) = sqs.receive_message(QueueUrl=retry_queue.url)["Messages"]
            assert failed_ids(redeliverer(moved["Body"])) == []

        assert (entry(account)["state"], entry(account)["attempts"]) == ("delivered", 5)
        left = sqs.get_queue_attributes(QueueUrl=dead_letters.url, AttributeNames=["All"])["Attributes"]
        assert left["ApproximateNumberOfMessagesNotVisible"] == "1"

    def test_more_than_a_batch_is_sent_though_the_queue_does_not_take_all_at_once(
        self,
        account: Account,
        stack: Stack,
        sqs_proxy: FaultProxy,
        new_queue: Callable[[], str],
        world: World,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        world.now = datetime(2018, 12, 21, tzinfo=UTC)
        account.set_target(FAILURE, "http://127.0.0.1:9/")
        for _ in range(23):
            world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30))
        world.settle()
        queue = new_queue()

        def take_only_five(call: Call) -> Answer:
            refused = call.parameters.get("Entries", [])[5:]
            del call.parameters.get("Entries", [])[5:]
            status, answer = call.forward()
            if refused:
                failed = [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in refused]
                answer = json.dumps(json.loads(answer) | {"Failed": failed}).encode()
            return status, answer

        sqs_proxy.behaviour = take_only_five
        with monkeypatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_SQS", sqs_proxy.url)
            replays = replace(world.functions.api.replays, retry_queue=RetryQueue(stack.client("sqs"), queue))
        assert replays.undelivered_since(account.alias, datetime(2018, 12, 20, tzinfo=UTC)).count == 23

        arrived = set()
        while messages := stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            arrived |= {json.loads(message["Body"])["delivery"]["subjectId"] for message in messages}
        assert len(arrived) == 23
