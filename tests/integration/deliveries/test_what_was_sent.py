"""Changes only: what is a repetition at a target is known from what was sent there, and arrived or still may."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import replace
from datetime import time, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import BackupStatus, EventType
from backup_webhooks.targets.preferences import Preferences, QuietHours
from backup_webhooks.targets.target import DeliveryMode, Target
from msgspec import structs

from local.receiver import Receiver
from tests.faults.customers import Server
from tests.integration.conftest import Account
from tests.support.messages import missed
from tests.world.boundary import Crossing, Fault
from tests.world.world import World

FAILURE, PARTIAL, SUCCESS = EventType.FAILURE, EventType.PARTIAL_SUCCESS, EventType.SUCCESS
CHANGES = Preferences(changes_only=True)
OK = 200
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OF_STATUS = {"F": BackupStatus.FAILED, "P": BackupStatus.PARTIAL_SUCCESS, "S": BackupStatus.SUCCESS}


class Nights:
    """A server whose backups end as each letter says, and the posts about it by their number, from 0."""

    def __init__(self, world: World, account: Account) -> None:
        self.world, self.account, self.begin = world, account, world.now
        self.receiver = Receiver()
        self.receiver.on_post = world._on_post
        self._ended = 0

    def go_on(self, statuses: str, every: timedelta = DAY) -> None:
        """Let a backup end with each status, and all happen that follows within `every`."""
        for letter in statuses:
            ended_at = self.world.now
            server = Server(f"night-{self._ended}", ended_at - HOUR)
            message = server.finished(ended_at - HOUR, ended_at, OF_STATUS[letter])
            changes: dict[str, Any] = {"account_alias": self.account.alias, "server_policy_id": "nightly"}
            self.world.say(structs.replace(message, restore_point_id=f"rp-{self._ended}", **changes))
            self._ended += 1
            self.world.run(until=ended_at + every)

    @property
    def posts(self) -> list[int]:
        """Return the numbers of the backups that arrived."""
        texts = [post.body["text"] for post in self.world.received if post.status == OK]
        return [int(text.partition("rp-")[2].split()[0]) for text in texts]


@pytest.fixture
def nights(world: World, account: Account) -> Iterator[Nights]:
    nights = Nights(world, account)
    with nights.receiver:
        yield nights


def again(account: Account, target: Target, **settings: Any) -> None:
    """Change settings of the target, as its customer does."""
    account.targets.change(account.alias, lambda seen: seen.having(replace(target, **settings)))


def test_after_the_endpoint_was_down_for_days_and_the_target_was_switched_off_the_next_failure_is_sent(
    nights: Nights, account: Account, world: World
) -> None:
    target = account.set_target(FAILURE, nights.receiver.url, preferences=CHANGES, delivery=DeliveryMode.RETRY)
    world.answer = lambda path: 503
    nights.go_on("FFFFFFF")
    assert not account.target().enabled

    world.answer = lambda path: 200
    again(account, target, enabled=True)
    nights.go_on("FFF")

    assert nights.posts == [7]


@pytest.mark.parametrize("change", ["made", "got another URL", "switched on"])
def test_the_first_failure_is_sent_after_a_target_was(nights: Nights, account: Account, change: str) -> None:
    if change != "made":
        target = account.set_target(FAILURE, f"{nights.receiver.url}/before", preferences=CHANGES)
    nights.go_on("FF")
    if change == "made":
        account.set_target(FAILURE, nights.receiver.url, preferences=CHANGES)
    elif change == "got another URL":
        again(account, target, url=f"{nights.receiver.url}/after")
    else:
        again(account, target, enabled=False)
        again(account, account.target(), enabled=True)
    nights.go_on("FFS")

    assert nights.posts == ([2] if change == "made" else [0, 2])


def test_another_change_of_a_target_makes_nothing_new(nights: Nights, account: Account) -> None:
    target = account.set_target(FAILURE, nights.receiver.url, preferences=CHANGES)
    nights.go_on("F")
    again(account, target, format="detailed", delivery=DeliveryMode.RETRY)
    nights.go_on("FF")

    assert nights.posts == [0]


@pytest.mark.parametrize(
    ("statuses", "event", "sent"),
    # The hours are 01:00, in the quiet hours, and noon, in turn.
    [("PPPP", PARTIAL, [1]), ("FSFFSSS", SUCCESS, [1, 5])],
)
def test_what_quiet_hours_suppressed_makes_nothing_a_repetition(
    nights: Nights, account: Account, world: World, statuses: str, event: EventType, sent: list[int]
) -> None:
    quiet = QuietHours(time(22), time(7), "UTC")
    account.set_target(event, nights.receiver.url, preferences=Preferences(changes_only=True, quiet_hours=quiet))
    world.now = world.now.replace(hour=1) + DAY
    for letter in statuses:
        nights.go_on(letter, every=11 * HOUR if world.now.hour == 1 else 13 * HOUR)

    assert nights.posts == sent


def test_what_failed_for_good_makes_nothing_a_repetition_and_what_is_retried_does(
    nights: Nights, account: Account, world: World
) -> None:
    account.set_target(FAILURE, f"{nights.receiver.url}/once", preferences=CHANGES)
    account.set_target(FAILURE, f"{nights.receiver.url}/retry", preferences=CHANGES, delivery=DeliveryMode.RETRY)
    refused = {"/once": 2, "/retry": 3}

    def answer(path: str) -> int:
        refused[path] -= 1
        return 503 if refused[path] >= 0 else 200

    world.answer = answer
    nights.go_on("FFFF", every=timedelta(minutes=10))
    world.settle()

    paths = [(post.path, post.status) for post in world.received]
    assert [status for path, status in paths if path == "/once"] == [503, 503, 200]
    assert [status for path, status in paths if path == "/retry"] == [503, 503, 503, 200]


def test_a_grouped_failure_is_a_repetition_only_if_its_group_arrived(
    nights: Nights, account: Account, world: World
) -> None:
    account.set_target(FAILURE, nights.receiver.url, preferences=Preferences(changes_only=True, group=True))
    world.answer = lambda path: 503 if not world.received else 200
    nights.go_on("FFFF", every=10 * timedelta(minutes=1))

    assert [post.status for post in world.received] == [503, 200]
    assert nights.posts == [1]


def test_an_event_whose_message_cannot_be_handled_does_not_silence_the_next(
    nights: Nights, account: Account, world: World
) -> None:
    """It was judged to be news, but its claim fails until it is a dead letter."""
    account.set_target(FAILURE, nights.receiver.url, preferences=CHANGES)

    def fault(crossing: Crossing) -> Fault | None:
        return Fault.ERROR if "claimToken" in crossing.request.on else None

    world.boundary.choose = fault
    nights.go_on("F")
    assert len(world.events.dead_letters) == 1
    world.boundary.choose = lambda crossing: None
    nights.go_on("FF")

    assert nights.posts == [1]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_twice_or_late_nothing_is_suppressed_but_by_what_was_sent(
    nights: Nights, account: Account, world: World, seed: int
) -> None:
    """Random statuses, orders, repetitions and answers; the log is the witness."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    world.repeated = 0.3
    world.answer = lambda path: chance.choice([200, 503])
    for event in (FAILURE, PARTIAL, SUCCESS):
        account.set_target(event, f"{nights.receiver.url}/{event}", preferences=CHANGES)
    for _ in range(40):
        nights.go_on(chance.choice("FPSS"), every=timedelta(seconds=chance.choice([0, 0, 400, 4000])))
    world.settle()

    log = [entry for entry in world.log() if entry["account"] == account.alias]
    suppressed = [entry for entry in log if entry["state"] == "suppressed"]
    assert len(suppressed) > 3
    for entry in suppressed:
        since = entry["error"].removeprefix("nothing new since ")
        (sent,) = (
            one
            for one in log
            if one["delivery"].startswith(since) and (one["event"], one["state"]) == (entry["event"], "delivered")
        )
        assert sent["targetId"] == entry["targetId"]


def test_a_miss_is_a_repetition_by_the_first_expected_start(nights: Nights, account: Account, world: World) -> None:
    account.set_target(EventType.MISSING, nights.receiver.url, preferences=CHANGES)
    world.answer = lambda path: 503 if not world.received else 200
    for day in (20, 21, 22):
        body = missed(account.alias)[:-1] + ', "missingSinceDate": "2018-12-20T05:00:00Z"}'
        world.send(body.replace("2018-12-20T05:00:00Z", f"2018-12-{day}T05:00:00Z", 1))
        world.settle()

    assert [post.status for post in world.received] == [503, 200]
