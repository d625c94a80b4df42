"""Each call of AWS by the functions, and each POST, fails in turn, in each way. Nothing is lost, or sent twice.

A call of each kind of each function fails in the ways that differ for a function. In the first scenario the first
read and the first write of a service fail in all ways, as these differ for botocore. `EVERY=1` tries all ways at all
calls.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from itertools import product

import pytest

from local.receiver import Receiver
from tests.faults.invariants import assert_all
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.ways import ALL, POST, Chosen, Way, different
from tests.world.aws import Aws
from tests.world.boundary import Crossing, Fault, Request
from tests.world.world import World

EVERY = bool(os.environ.get("EVERY"))
IN_ALL_WAYS = next(iter(SCENARIOS))
SERVICES = ("dynamodb", "sqs", "sesv2", "backup")


def run(aws: Aws, endpoint: Receiver, scenario: Scenario, choose: Callable[[Crossing], Fault | None]) -> World:
    world = World(aws, endpoint, random.Random(1), scenario.environment)
    world.repeated = 0
    scenario.prepare(world)
    world.boundary.calls = 0
    world.boundary.choose = choose
    scenario.go(world)
    world.boundary.choose = lambda crossing: None
    return world


def assert_settled(world: World, scenario: Scenario) -> None:
    assert_all(world, scenario.servers)
    scenario.check(world)


type Kind = tuple[str, Request]


@pytest.fixture(scope="module")
def calls(aws: Aws, api: None, endpoint: Receiver) -> dict[str, list[Crossing]]:
    """Return each scenario's calls without faults: all, or the first of each kind in the first scenario with it."""
    found: dict[str, list[Crossing]] = {}
    seen: set[Kind] = set()
    for name, scenario in SCENARIOS.items():
        crossings: list[Crossing] = []
        world = run(aws, endpoint, scenario, crossings.append)
        assert len(world.received) == scenario.posts
        assert_settled(world, scenario)
        assert {crossing.function for crossing in crossings} >= set(scenario.functions)
        if EVERY:
            found[name] = crossings
            continue
        of_scenario = {
            (crossing.function, crossing.request): crossing
            for crossing in reversed(crossings)
            if crossing.function in scenario.functions
        }
        found[name] = [crossing for kind, crossing in of_scenario.items() if scenario.again or kind not in seen]
        seen |= set(of_scenario)
    return found


def ways(crossing: Crossing, in_all: set[tuple[str, bool]]) -> Sequence[Way]:
    """Return the ways in which the call fails. Add its kind to `in_all`, the kinds that have failed in all ways."""
    request = crossing.request
    if request.service == "endpoint":
        return POST if EVERY else different(request)
    if EVERY or (request.service, request.is_read) not in in_all:
        in_all.add((request.service, request.is_read))
        return ALL
    return different(request)


@pytest.mark.parametrize("name", SCENARIOS)
def test_whichever_call_fails_in_whichever_way_nothing_is_lost_or_sent_twice(
    aws: Aws, endpoint: Receiver, calls: dict[str, list[Crossing]], name: str, subtests: pytest.Subtests
) -> None:
    scenario = SCENARIOS[name]
    in_all = set[tuple[str, bool]]() if name == IN_ALL_WAYS else {*product(SERVICES, (True, False))}
    for call in calls[name]:
        for way in ways(call, in_all):
            with subtests.test(call=f"{call.number}: {call.function} {call.operation} {call.request.on}", way=str(way)):
                chosen = Chosen(call.number, way)
                world = run(aws, endpoint, scenario, chosen)
                assert chosen.times
                fewest = scenario.posts if scenario.fewest is None else scenario.fewest
                # Only a POST in flight, when its function was killed or could not write, may be made again.
                assert fewest <= len(world.received) <= scenario.posts + 1
                assert_settled(world, scenario)
