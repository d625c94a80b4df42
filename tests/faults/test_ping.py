"""A script pings, and AWS fails or the function is killed at each call: an acknowledged ping is posted once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from backup_webhooks.events.messages import EventType, parse_message
from backup_webhooks.sources.pings.keys import PingSchedule
from backup_webhooks.targets.target import Target

from local.http_api import request_event
from local.receiver import Receiver
from tests.faults.ways import ALL, Chosen, Way
from tests.support.pings import ROUTE
from tests.world.aws import Aws
from tests.world.boundary import KILLS, Crossing, Fault
from tests.world.world import ACCOUNT, EVENTS, World

OK = 200
# `curl --retry` tries as often.
TRIES = 5


class Script:
    """Calls its ping URL until the answer is 200, as `curl --retry` does."""

    def __init__(self, world: World) -> None:
        self._world, keys = world, world.functions.api.ping_keys
        schedule = PingSchedule("0 0 1 * * ?", None, "UTC")
        _, self._key = keys.make(ACCOUNT, "fileserver", "Nightly restic", "scripts", schedule, world.now)

    def fail(self) -> list[int]:
        """Report a failure. Return the statuses of the answers, with the gateway's 500 if the function was killed."""
        statuses: list[int] = []
        while len(statuses) < TRIES and OK not in statuses:
            statuses.append(self._call(f"/p/{self._key}/fail?rid=tonight"))
            self._world.now += timedelta(seconds=1)
        return statuses

    def _call(self, path: str) -> int:
        event = request_event(ROUTE, "POST", path, {"host": "ping.example"}, b"", None, self._world.now)
        answer = self._world.invoke("ping", lambda _: self._world.functions.ping.answer(event))
        return int(answer["statusCode"]) if answer else 500


def ping_in_world(aws: Aws, endpoint: Receiver, choose: Callable[[Crossing], Fault | None]) -> tuple[list[int], World]:
    """Return the statuses that the script gets, and a world in which all messages on the queue are handled."""
    world = World(aws, endpoint, random.Random(1))
    world.set_target(Target(ACCOUNT, [EventType.FAILURE], f"{endpoint.url}/failure", format="detailed"))
    script = Script(world)
    world.boundary.choose = choose
    statuses = script.fail()
    world.boundary.choose = lambda crossing: None
    world.run(until=world.now + timedelta(hours=1))
    return statuses, world


def test_a_ping_makes_two_calls(aws: Aws, endpoint: Receiver) -> None:
    calls: list[Crossing] = []
    statuses, _ = ping_in_world(aws, endpoint, calls.append)

    assert statuses == [OK]
    assert [call.operation for call in calls] == ["UpdateItem", "SendMessage"]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("way", ALL, ids=str)
def test_an_acknowledged_ping_is_posted_once(aws: Aws, endpoint: Receiver, number: int, way: Way) -> None:
    chosen = Chosen(number, way)

    statuses, world = ping_in_world(aws, endpoint, chosen)

    assert chosen.times
    assert statuses[-1] == OK
    # botocore retries short faults. The script retries after lasting faults and kills.
    assert len(statuses) == (2 if way.lasting or way.fault in KILLS else 1)
    messages = {parse_message(body) for body in world.sqs.accepted[EVENTS]}
    assert len(messages) == 2, "the key's server policy, and one failure, however often it was sent"
    assert len(world.received) == 1
