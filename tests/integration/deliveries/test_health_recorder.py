"""The health of a target that fails, the deferral of its deliveries, and when it is switched off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.deliveries.attempt import DEFERRED
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode, Target

from local.receiver import Receiver
from tests.integration.conftest import Account, Invoke
from tests.support.fault_proxy import FaultProxy
from tests.support.messages import finished
from tests.world.endpoints import Endpoint
from tests.world.world import World

FAILURE = EventType.FAILURE


def entry(account: Account) -> dict[str, Any]:
    (only,) = account.deliveries()
    return only


class TestHealth:
    def test_failures_are_counted_and_the_last_is_shown(self, account: Account, notifier: Invoke) -> None:
        account.set_target(FAILURE, "http://127.0.0.1:9/")
        before = datetime.now(UTC)

        notifier(finished(account.alias))
        notifier(finished(account.alias))

        health = account.target().health
        assert (health.consecutive_failures, health.last_status, health.last_reason) == (2, None, "connection refused")
        assert health.failing_since
        assert before - timedelta(seconds=1) <= health.failing_since <= datetime.now(UTC)

    def test_any_success_resets(self, account: Account, notifier: Invoke) -> None:
        endpoint = Endpoint(503, 200)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            notifier(finished(account.alias))
            assert account.target().health.consecutive_failures == 1
            notifier(finished(account.alias))

        assert account.target().health == Target("", [FAILURE], "").health

    def test_a_success_of_a_healthy_target_writes_nothing(
        self, account: Account, notifier_at: Callable[[str], Invoke], dynamodb_proxy: FaultProxy, receiver: Receiver
    ) -> None:
        account.set_target(FAILURE, receiver.url)

        notifier_at(dynamodb_proxy.url)(*(finished(account.alias) for _ in range(5)))

        assert len(receiver.posts) == 5
        assert not [call for call in dynamodb_proxy.calls if writes_webhooks(call.operation, call.parameters)]

    def test_after_a_failure_one_success_is_written_and_no_other(
        self, account: Account, notifier_at: Callable[[str], Invoke], dynamodb_proxy: FaultProxy
    ) -> None:
        with Receiver(Endpoint(503, 200)) as receiver:
            account.set_target(FAILURE, receiver.url)
            notifier = notifier_at(dynamodb_proxy.url)
            for _ in range(5):
                notifier(finished(account.alias))

        calls = (call for call in dynamodb_proxy.calls if not call.repeated)
        assert sum(writes_webhooks(call.operation, call.parameters) for call in calls) == 2

    def test_410_switches_the_target_off_at_once(self, account: Account, notifier: Invoke) -> None:
        endpoint = Endpoint(410)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            for _ in range(3):
                notifier(finished(account.alias))

        assert sum(endpoint.posts.values()) == 1
        target = account.target()
        assert not target.enabled
        assert target.health.switched_off_reason == "answered 410 Gone"
        assert target.health.switched_off_at
        assert (entry(account)["state"], entry(account)["error"]) == ("failed", "answered 410")

    @pytest.mark.parametrize("last", [200, 410])
    def test_the_later_word_of_two_functions_counts(self, account: Account, world: World, last: int) -> None:
        """Both know the target as healthy. One is answered 410, and the other posts a second later."""
        endpoint = Endpoint(200, 200, 410, last)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            one, other = world.functions, world.new_functions()
            for world.functions in (one, other, one, other):
                world.now += timedelta(seconds=1)
                world.send(finished(account.alias, backupFinishedDate=world.now.isoformat()))
                world.run(until=world.now + timedelta(milliseconds=500))
            world.functions = other
            world.settle()

        assert sum(endpoint.posts.values()) == 4
        assert account.target().enabled is (last == 200)
        assert (account.target().health.consecutive_failures == 0) is (last == 200)

    def test_switched_on_again_it_starts_without_failures(self, account: Account, notifier: Invoke) -> None:
        with Receiver(Endpoint(410)) as receiver:
            account.set_target(FAILURE, receiver.url)
            notifier(finished(account.alias))
            account.set_target(FAILURE, receiver.url)

        assert account.target().enabled
        assert account.target().health == Target("", [FAILURE], "").health

    def test_five_days_of_nothing_but_failures_switch_the_target_off(self, account: Account, world: World) -> None:
        endpoint, started = Endpoint(500), world.now
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            while account.target().enabled and world.now - started < timedelta(days=8):
                world.now += timedelta(hours=6)
                world.send(finished(account.alias))
                world.settle()

        # The days count from the second failure, which shows that the first was no blip.
        assert world.now - started == timedelta(hours=12, days=5)
        assert account.target().health.switched_off_reason == (
            "nothing but failures for 5 days; the last: answered 500"
        )

    def test_a_success_in_between_starts_the_five_days_anew(self, account: Account, world: World) -> None:
        endpoint = Endpoint(*[500] * 8, 200, 500)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            for _ in range(24):
                world.now += timedelta(hours=6)
                world.send(finished(account.alias))
                world.settle()

        assert account.target().enabled

    def test_a_success_that_went_unwritten_does_not_make_a_blip_five_days_long(
        self, account: Account, world: World
    ) -> None:
        """One function sees a failure. Another, which does not know of it, sees a success right after."""
        one = world.functions
        world.start_functions()
        other = world.functions
        endpoint = Endpoint(200, 500, 200, 500)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            for world.functions in (other, one, other):
                world.now += timedelta(seconds=1)
                world.send(finished(account.alias))
                world.settle()
            assert account.target().health.consecutive_failures == 1
            world.functions = one
            world.now += timedelta(days=7)
            world.send(finished(account.alias))
            world.settle()

        assert account.target().enabled


def writes_webhooks(operation: str, parameters: dict[str, Any]) -> bool:
    return operation != "Query" and parameters["TableName"] == "WebhooksTable"


class TestDeferral:
    def test_after_three_failures_deliveries_are_deferred_and_attempted_once(
        self, account: Account, world: World
    ) -> None:
        endpoint = Endpoint(503)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            for _ in range(3):
                world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30))
            assert account.target().health.circuit_open
            outcomes = world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30)).outcomes
            assert sum(endpoint.posts.values()) == 3
            world.settle()

        assert outcomes == [DEFERRED]
        assert sum(endpoint.posts.values()) == 4
        assert [one["state"] for one in account.deliveries()] == ["failed"] * 4
        assert [int(one["attempts"]) for one in account.deliveries()] == [1] * 4

    def test_a_success_of_a_deferred_delivery_closes_the_circuit(self, account: Account, world: World) -> None:
        with Receiver(Endpoint(503, 503, 503, 200)) as receiver:
            account.set_target(FAILURE, receiver.url)
            for _ in range(4):
                world.send(finished(account.alias))
                world.settle()
            assert not account.target().health.circuit_open

            # The notifier reads the success within 30 s, and posts to the target itself again.
            world.now += timedelta(seconds=30)
            (outcome,) = world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30)).outcomes

        assert outcome.result is not None

    def test_deliveries_of_another_event_of_the_account_are_not_deferred(
        self, account: Account, world: World, receiver: Receiver
    ) -> None:
        account.set_target(FAILURE, "http://127.0.0.1:9/")
        account.set_target(EventType.SUCCESS, receiver.url)
        for _ in range(4):
            world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30))

        (outcome,) = world.notifier.handle(
            finished(account.alias, restorePointCreationStatus="SUCCESS"), world.now + timedelta(seconds=30)
        ).outcomes

        assert outcome.result is not None
        assert len(receiver.posts) == 1

    def test_a_deferred_message_that_comes_twice_is_one_post(self, account: Account, world: World) -> None:
        endpoint = Endpoint(503)
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url)
            for _ in range(3):
                world.notifier.handle(finished(account.alias), world.now + timedelta(seconds=30))
            body = finished(account.alias)
            for _ in range(2):
                world.notifier.handle(body, world.now + timedelta(seconds=30))
            world.settle()

        assert sum(endpoint.posts.values()) == 4
