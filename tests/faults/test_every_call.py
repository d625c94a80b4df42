"""Each call that the functions make of AWS, and each POST, fails in turn, in each way: nothing of it is lost by that,
and nothing told twice.

`EVERY=1` tries all ways at all calls. Without it, of calls that are alike some stand for all, such as the queries of a
tick, of which there are 16; and but for one scenario, of the ways those that differ for the functions.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest

from local.receiver import Receiver
from tests.faults.aws import Aws
from tests.faults.boundary import KILLS, Crossing, Fault
from tests.faults.invariants import assert_all
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.ways import ALL, DIFFERENT, Chosen, Way
from tests.faults.world import World

EVERY = bool(os.environ.get("EVERY"))
ALIKE = 2


def ways(name: str) -> list[Way]:
    return ALL if EVERY or name == "a failure that is retried" else DIFFERENT


def run(aws: Aws, endpoint: Receiver, scenario: Scenario, choose: Callable[[Crossing], Fault | None]) -> World:
    world = World(aws, endpoint, random.Random(1))
    world.repeated = 0
    scenario.prepare(world)
    world.boundary.calls = 0
    world.boundary.choose = choose
    scenario.go(world)
    world.boundary.choose = lambda crossing: None
    return world


def calls(aws: Aws, endpoint: Receiver, scenario: Scenario) -> list[Crossing]:
    """Those that there are where nothing fails."""
    crossings: list[Crossing] = []
    world = run(aws, endpoint, scenario, crossings.append)
    assert len(world.received) == scenario.posts
    assert_all(world, scenario.servers)
    return crossings if EVERY else _some_of_those_alike(crossings)


def _some_of_those_alike(crossings: Sequence[Crossing]) -> list[Crossing]:
    """Of each function's calls of an operation the first few, and the last."""
    alike: defaultdict[tuple[str, str], list[Crossing]] = defaultdict(list)
    for crossing in crossings:
        alike[crossing.function, crossing.operation].append(crossing)
    return [one for some in alike.values() for one in [*some[:ALIKE], *some[ALIKE:][-1:]]]


@pytest.mark.parametrize("name", SCENARIOS)
def test_whichever_call_fails_in_whichever_way_nothing_is_lost_or_told_twice(
    aws: Aws, endpoint: Receiver, name: str, subtests: pytest.Subtests
) -> None:
    scenario = SCENARIOS[name]
    for call in calls(aws, endpoint, scenario):
        for way in ways(name):
            if call.service == "endpoint" and way.fault not in KILLS:
                continue
            with subtests.test(call=f"{call.number}: {call.function} {call.operation}", way=str(way)):
                chosen = Chosen(call.number, way)
                world = run(aws, endpoint, scenario, chosen)
                assert chosen.times
                # Only what was in flight when its function was killed, or could not write, may be posted again.
                assert scenario.posts <= len(world.received) <= scenario.posts + 1
                assert_all(world, scenario.servers)
