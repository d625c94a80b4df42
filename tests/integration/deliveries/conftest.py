"""A world on the tables of the stack, where the accounts of the tests and the functions' handlers store too."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.world.aws import Aws
from tests.world.world import World

# Three steps of the deployed schedule.
DELAYS = (timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=24))
DELAYS_SECONDS = ",".join(f"{delay.total_seconds():.0f}" for delay in DELAYS)


@pytest.fixture
def world(world_aws: Aws) -> World:
    world = World(world_aws, environment={"RETRY_DELAYS_SECONDS": DELAYS_SECONDS})
    world.repeated = 0
    return world
