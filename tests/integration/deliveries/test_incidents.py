"""Incidents at PagerDuty: whatever is late, an incident is open as long as trouble lasts, and no longer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import BackupStatus, EventType, parse_message
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.target import DeliveryMode
from msgspec import structs

from local.receiver import Receiver
from tests.faults.customers import Server
from tests.integration.conftest import Account
from tests.support.messages import missed
from tests.world.world import World

FAILURE, SUCCESS, MISSING = EventType.FAILURE, EventType.SUCCESS, EventType.MISSING
FAILED, SUCCEEDED = BackupStatus.FAILED, BackupStatus.SUCCESS
MINUTE = timedelta(minutes=1)
KEY = "k" * 32


class PagerDuty:
    """A customer's PagerDuty, with one server policy's incident. It refuses everything until `up_at`."""

    def __init__(self, world: World, account: Account) -> None:
        self.world, self.account, self.up_at = world, account, world.now
        self.receiver = Receiver()
        self.receiver.on_post = world._on_post
        world.answer = lambda path: 202 if world.now >= self.up_at else 503

    def set_target(self, *events: EventType) -> None:
        for event in events:
            url = f"{self.receiver.url}/{event}"
            self.account.set_target(event, url, format="pagerduty", destination_key=KEY, delivery=DeliveryMode.RETRY)

    def ends(self, status: BackupStatus, at: datetime | None = None) -> None:
        ended_at = at or self.world.now
        message = Server("server", ended_at).finished(ended_at - MINUTE, ended_at, status)
        self.world.say(structs.replace(message, account_alias=self.account.alias, server_policy_id="sp-1"))

    def passes(self, time: timedelta) -> None:
        self.world.run(until=self.world.now + time)

    @property
    def actions(self) -> list[str]:
        return [post.body["event_action"] for post in self.world.received if post.status == 202]


@pytest.fixture
def pagerduty(world: World, account: Account) -> Iterator[PagerDuty]:
    pagerduty = PagerDuty(world, account)
    with pagerduty.receiver:
        yield pagerduty


def states(account: Account, day: str = "2026-01-05") -> list[tuple[str, str]]:
    return [(entry["event"], entry["state"]) for entry in account.deliveries(day)]


def test_a_trigger_whose_trouble_has_ended_is_not_retried(pagerduty: PagerDuty, account: Account) -> None:
    """The endpoint is down for 23 minutes, and the backup succeeds after 20."""
    pagerduty.set_target(FAILURE, SUCCESS)
    pagerduty.up_at += 23 * MINUTE
    pagerduty.ends(FAILED)
    pagerduty.passes(20 * MINUTE)
    pagerduty.ends(SUCCEEDED)
    pagerduty.world.settle()

    assert pagerduty.actions == ["resolve"]
    (failure, success) = account.deliveries("2026-01-05")
    assert (failure["state"], success["state"]) == ("suppressed", "delivered")
    assert failure["error"] == "over since the success of 2026-01-05T06:20:00.000Z"


def test_a_resolve_after_which_trouble_has_come_again_is_not_retried(pagerduty: PagerDuty, account: Account) -> None:
    pagerduty.set_target(FAILURE, SUCCESS)
    pagerduty.ends(FAILED)
    pagerduty.passes(MINUTE)
    pagerduty.up_at = pagerduty.world.now + 10 * MINUTE
    pagerduty.ends(SUCCEEDED)
    pagerduty.passes(2 * MINUTE)
    pagerduty.ends(FAILED)
    pagerduty.world.settle()

    assert pagerduty.actions == ["trigger", "trigger"]
    assert states(account)[1] == ("Backup.Success", "suppressed")


def test_a_failure_that_comes_after_the_success_that_followed_it_opens_no_incident(pagerduty: PagerDuty) -> None:
    pagerduty.set_target(FAILURE, SUCCESS)
    now = pagerduty.world.now
    pagerduty.ends(SUCCEEDED, now + MINUTE)
    pagerduty.passes(2 * MINUTE)
    pagerduty.ends(FAILED, now)
    pagerduty.world.settle()

    assert pagerduty.actions == ["resolve"]


def test_a_long_backup_that_ends_within_the_hour_after_a_scheduled_start_does_not_conceal_its_miss(
    pagerduty: PagerDuty, account: Account
) -> None:
    """A miss is true an hour after the scheduled start, when that success is past."""
    pagerduty.set_target(MISSING)
    miss = parse_message(missed(account.alias))
    expected_at = pagerduty.world.now - timedelta(hours=1)
    pagerduty.ends(SUCCEEDED, pagerduty.world.now - MINUTE)
    pagerduty.world.say(structs.replace(miss, expected_date=Timestamp.of(expected_at)))  # type: ignore[type-var]
    pagerduty.world.settle()

    assert pagerduty.actions == ["trigger"]


def test_a_replayed_trigger_is_judged_again(pagerduty: PagerDuty, account: Account) -> None:
    pagerduty.set_target(FAILURE)
    pagerduty.up_at += timedelta(days=30)
    pagerduty.ends(FAILED)
    pagerduty.world.settle()
    assert states(account) == [("Backup.Failure", "exhausted")]

    pagerduty.up_at = pagerduty.world.now
    pagerduty.ends(SUCCEEDED)
    pagerduty.passes(MINUTE)
    pagerduty.world.redrive()
    pagerduty.world.settle()

    assert pagerduty.actions == []
    assert states(account) == [("Backup.Failure", "suppressed")]


@pytest.mark.parametrize("seed", range(2))
def test_in_the_end_the_incident_is_open_if_the_last_backup_failed(pagerduty: PagerDuty, seed: int) -> None:
    """Random results and outages, shuffled messages. Only posts within the same moment may overtake each other."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    pagerduty.set_target(FAILURE, SUCCESS)
    for _ in range(12):
        ended_at = pagerduty.world.now
        results = [(chance.choice([FAILED, SUCCEEDED]), ended_at + number * MINUTE) for number in range(3)]
        last = results[-1][0]
        for status, at in chance.sample(results, 3):
            pagerduty.ends(status, at)
            pagerduty.passes(timedelta(seconds=chance.choice([1, 30])))
        pagerduty.passes(10 * MINUTE)
        if chance.random() < 0.5:
            pagerduty.up_at = pagerduty.world.now + chance.choice([10, 40]) * MINUTE
    pagerduty.world.settle()

    assert pagerduty.actions[-1] == ("trigger" if last is FAILED else "resolve")


def test_two_server_policies_with_one_restore_point_in_one_millisecond_are_both_posted(
    world: World, account: Account
) -> None:
    receiver = Receiver()
    receiver.on_post = world._on_post
    with receiver:
        account.set_target(FAILURE, receiver.url, format="cloudevents")
        message: Any = Server("server", world.now).finished(world.now, world.now, FAILED)
        for policy in ("sp-1", "sp-2"):
            world.say(structs.replace(message, account_alias=account.alias, server_policy_id=policy))
        world.settle()

    assert {post.body["data"]["serverPolicyId"] for post in world.received} == {"sp-1", "sp-2"}
    assert len({post.body["id"] for post in world.received}) == 2
    assert len({post.webhook_id for post in world.received}) == 2
    backups = world.notifier.backups.between(account.alias, world.now - MINUTE * 10, world.now + MINUTE)
    assert sorted(backup.server_policy_id for backup in backups) == ["sp-1", "sp-2"]
