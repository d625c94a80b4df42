"""A world on the tables of the stack, where the accounts of the tests and the functions' handlers store too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.stack import CREDENTIALS, Stack
from local.template import Template
from tests.world.aws import Aws, moto_dynamodb
from tests.world.world import World

# Three steps of the schedule that is deployed.
DELAYS = (timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=24))
DELAYS_SECONDS = ",".join(f"{delay.total_seconds():.0f}" for delay in DELAYS)


@pytest.fixture(scope="session")
def world_aws(template: Template, stack: Stack) -> Iterator[Aws]:
    region = CREDENTIALS["AWS_DEFAULT_REGION"]
    elsewhere = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"} & os.environ.keys()
    url = stack.client("dynamodb").meta.endpoint_url
    aws = Aws(template, region, url if elsewhere else moto_dynamodb(region))
    with aws.running():
        yield aws


@pytest.fixture
def world(world_aws: Aws) -> World:
    world = World(world_aws, environment={"RETRY_DELAYS_SECONDS": DELAYS_SECONDS})
    world.repeated = 0
    return world
