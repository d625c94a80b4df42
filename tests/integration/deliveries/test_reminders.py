"""Reminders: while the trouble lasts, its target gets it again after so many hours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from copy import replace
from datetime import datetime, time, timedelta

import pytest
from backup_webhooks.events.messages import EventType, encode_message
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.targets.event_filter import EventFilter
from backup_webhooks.targets.preferences import Preferences, QuietHours
from backup_webhooks.targets.target import Target

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.messages import finished
from tests.support.policies import changed, record
from tests.world.world import World

FAILURE, MISSING, PARTIAL = EventType.FAILURE, EventType.MISSING, EventType.PARTIAL_SUCCESS
REMIND = Preferences(changes_only=True, remind_hours=24)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ended(account: Account, at: datetime, status: str = "FAILED", server: str = "server") -> str:
    return finished(
        account.alias,
        serverPolicyId=f"{account.alias}-{server}",
        serverId=server,
        restorePointId=f"rp-{server}-{at:%d-%H}",
        restorePointCreationStatus=status,
        backupStartedDate=f"{at - HOUR:%Y-%m-%dT%H:%M:%SZ}",
        backupFinishedDate=f"{at:%Y-%m-%dT%H:%M:%SZ}",
    )


def posted(receiver: Receiver) -> list[str]:
    """Return the restore point of each post."""
    return [json.loads(post.body)["restorePointId"] for post in receiver.posts]


def wait(world: World, duration: timedelta) -> None:
    world.run(world.now + duration)


def test_it_is_sent_every_so_many_hours_without_new_events(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    began = world.now
    world.send(ended(account, began))
    wait(world, timedelta(days=3, hours=1))

    assert posted(receiver) == [f"rp-server-{began:%d-%H}"] * 4
    # All are about one backup, but have different ids, so that a receiver that removes duplicates takes each.
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 4
    reminders = [entry for day in (1, 2, 3) for entry in account.deliveries(f"{began + day * DAY:%Y-%m-%d}")]
    assert [(entry["state"], entry["delivery"].split("#")[0][:16]) for entry in reminders] == [
        ("delivered", f"{began + day * DAY + timedelta(minutes=10):%Y-%m-%dT%H:%M}") for day in (1, 2, 3)
    ]


def test_it_is_about_the_newest_failure_and_ends_with_a_success(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    monday = world.now
    for hours in (0, 10, 20):
        world.send(ended(account, world.now))
        wait(world, 10 * HOUR)
        assert hours < 20 or posted(receiver) == [f"rp-server-{monday:%d-%H}", f"rp-server-{monday + 20 * HOUR:%d-%H}"]
    world.send(ended(account, world.now, "SUCCESS"))
    wait(world, 5 * DAY)

    assert len(receiver.posts) == 2


def test_trouble_that_comes_with_the_same_hours_is_repeated_by_its_newest(
    account: Account, world: World, receiver: Receiver
) -> None:
    preferences = replace(REMIND, remind_hours=1)
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=preferences)
    began = world.now
    for minutes_late in (0, 4, 0, 8):
        world.run(world.now + timedelta(minutes=minutes_late))
        world.send(ended(account, world.now.replace(minute=0, second=0, microsecond=0)))
        wait(world, HOUR - timedelta(minutes=minutes_late))
    wait(world, HOUR / 4)

    assert posted(receiver)[:4] == [f"rp-server-{began + hours * HOUR:%d-%H}" for hours in range(4)]


def test_new_trouble_is_posted_at_once_and_its_hours_count_from_then(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    world.send(ended(account, world.now))
    wait(world, 20 * HOUR)
    world.send(ended(account, world.now, "SUCCESS"))
    wait(world, HOUR)
    again = world.now
    world.send(ended(account, again))
    wait(world, 23 * HOUR)
    assert posted(receiver)[1:] == [f"rp-server-{again:%d-%H}"]
    wait(world, 2 * HOUR)

    assert posted(receiver)[1:] == [f"rp-server-{again:%d-%H}"] * 2


def test_a_message_that_comes_twice_causes_one_reminder(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    message = ended(account, world.now)
    for _ in range(3):
        world.send(message)
        wait(world, timedelta(minutes=5))
    wait(world, 25 * HOUR)

    assert len(receiver.posts) == 2


def test_each_server_has_its_own_reminders(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    for server in ("a", "b"):
        world.send(ended(account, world.now, server=server))
    wait(world, HOUR)
    world.send(ended(account, world.now, "SUCCESS", server="a"))
    wait(world, DAY)

    assert sorted(Counter(id_.split("-")[1] for id_ in posted(receiver)).items()) == [("a", 1), ("b", 2)]


def test_a_target_of_many_events_is_reminded_of_lasting_trouble_alone(
    account: Account, world: World, receiver: Receiver
) -> None:
    target = account.set_target(FAILURE, receiver.url, preferences=REMIND)
    account.targets.change(account.alias, lambda _: [replace(target, event_types=[FAILURE, EventType.SUCCESS])])
    world.send(ended(account, world.now))
    wait(world, 25 * HOUR)
    assert len(receiver.posts) == 2

    world.send(ended(account, world.now, "SUCCESS"))
    wait(world, 3 * DAY)
    assert len(receiver.posts) == 3


def test_a_miss_has_reminders_until_its_policy_is_inactive(
    account: Account, world: World, stack: Stack, receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, preferences=REMIND)
    policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    policy_id = f"{account.alias}-server"
    message = changed("12-01 16:00", server_policy_id=policy_id, clc_account_alias=account.alias)
    record(policies, message)
    policy = policies.load(account.alias, policy_id)
    policies.save(policy.after_miss(world.now))
    world.send(encode_message(policy.miss()))
    wait(world, 49 * HOUR)
    assert len(receiver.posts) == 3

    gone = changed(
        "12-02 16:00", server_policy_id=policy_id, clc_account_alias=account.alias, server_policy_status="INACTIVE"
    )
    record(policies, gone)
    wait(world, 3 * DAY)

    assert len(receiver.posts) == 3


@pytest.mark.parametrize("change", ["no reminders", "switched off", "removed", "other events", "filtered"])
def test_a_target_that_no_longer_wants_reminders_gets_none(
    account: Account, world: World, receiver: Receiver, change: str
) -> None:
    account.set_target(FAILURE, receiver.url, preferences=REMIND)
    world.send(ended(account, world.now))
    wait(world, HOUR)
    changes: dict[str, Callable[[Target], Sequence[Target]]] = {
        "no reminders": lambda target: [replace(target, preferences=Preferences(changes_only=True))],
        "switched off": lambda target: [replace(target, enabled=False)],
        "removed": lambda target: [],
        "other events": lambda target: [replace(target, event_types=[MISSING])],
        "filtered": lambda target: [replace(target, filter=EventFilter(servers=("other",)))],
    }
    account.targets.change(account.alias, lambda seen: changes[change](*seen.targets))
    wait(world, 3 * DAY)

    assert len(receiver.posts) == 1


def test_a_target_that_asks_for_reminders_later_gets_them_from_the_next_failure_on(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=Preferences(changes_only=True))
    first = world.now
    world.send(ended(account, first))
    wait(world, HOUR)
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=REMIND)
    wait(world, 3 * DAY)
    second = world.now
    world.send(ended(account, second))
    wait(world, 25 * HOUR)

    assert posted(receiver) == [f"rp-server-{first:%d-%H}", f"rp-server-{second:%d-%H}"]


def test_a_reminder_in_quiet_hours_is_suppressed_as_its_event_would_be(
    account: Account, world: World, receiver: Receiver
) -> None:
    quiet = QuietHours(time(7), time(8), "UTC")
    account.set_target(
        PARTIAL, receiver.url, preferences=Preferences(changes_only=True, remind_hours=1, quiet_hours=quiet)
    )
    assert f"{world.now:%H:%M}" == "06:00"
    world.now += timedelta(minutes=30)
    world.send(ended(account, world.now, "PARTIAL_SUCCESS"))
    wait(world, timedelta(hours=2, minutes=30))

    states = [(entry["state"], entry.get("error")) for entry in account.deliveries(f"{world.now:%Y-%m-%d}")]
    assert states == [
        ("delivered", None),
        ("suppressed", "quiet hours: 07:00 to 08:00 UTC"),
        ("delivered", None),
    ]
    assert len(receiver.posts) == 2


def test_quiet_hours_at_the_time_of_the_backup_do_not_suppress_later_reminders(
    account: Account, world: World, receiver: Receiver
) -> None:
    quiet = QuietHours(time(5), time(8), "UTC")
    account.set_target(
        PARTIAL, receiver.url, preferences=Preferences(changes_only=True, remind_hours=24, quiet_hours=quiet)
    )
    for _ in range(4):
        world.send(ended(account, world.now, "PARTIAL_SUCCESS"))
        wait(world, DAY)

    assert len(receiver.posts) >= 3


def test_other_hours_count_from_the_next_failure(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, preferences=Preferences(changes_only=True, remind_hours=720))
    world.send(ended(account, world.now))
    wait(world, HOUR)
    account.set_target(FAILURE, receiver.url, preferences=REMIND)
    world.send(ended(account, world.now))
    wait(world, 49 * HOUR)

    assert len(receiver.posts) == 3


def test_failures_now_and_then_leave_no_messages_behind(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, preferences=Preferences(changes_only=True, remind_hours=720))
    for _ in range(5):
        for status in ("FAILED", "SUCCESS"):
            world.send(ended(account, world.now, status))
            wait(world, HOUR)

    assert len(receiver.posts) == 5
    assert len(world.retries.messages) == 1


def test_a_first_failure_that_comes_again_does_not_delay_the_reminder(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url, preferences=REMIND)
    first = ended(account, world.now)
    world.send(first)
    wait(world, 20 * HOUR)
    world.send(first)
    wait(world, 5 * HOUR)

    assert len(receiver.posts) == 2


def test_reminders_of_a_minute_are_grouped(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(
        FAILURE,
        receiver.url,
        format="detailed",
        preferences=Preferences(changes_only=True, remind_hours=24, group=True),
    )
    for number in range(5):
        world.send(ended(account, world.now, server=f"s{number}"))
    wait(world, 25 * HOUR)

    assert [json.loads(post.body)["count"] for post in receiver.posts] == [5, 5]
