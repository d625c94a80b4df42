"""One AWS and one endpoint for all worlds of a run, one after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backup_webhooks.api.resolver import WebhooksApi
from backup_webhooks.api.services import services
from backup_webhooks.aws import clients

from local.receiver import Receiver
from local.template import PROJECT, Template
from tests.world.aws import Aws, own_aws
from tests.world.functions import ENVIRONMENT


@pytest.fixture(scope="session")
def aws(template: Template) -> Iterator[Aws]:
    with own_aws(template) as aws:
        yield aws


@pytest.fixture(scope="module", autouse=True)
def api(aws: Aws) -> Iterator[None]:
    """The API, which finds its services by the environment at their first use."""
    made_once = (services, clients.dynamodb, clients.sqs)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (ENVIRONMENT | aws.environment).items():
            environment.setenv(name, value)
        for made in made_once:
            made.cache_clear()
        for client in (clients.dynamodb(), clients.sqs()):
            aws.instrument(client)
        aws.api = WebhooksApi(PROJECT / "functions" / "webhooks_api" / "page")
        yield
    for made in made_once:
        made.cache_clear()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
