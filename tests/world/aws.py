"""AWS as the functions of a faulty world meet it: botocore's clients, HTTP, proxies; behind them moto and queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from backup_webhooks.aws import clients
from botocore.config import Config
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import (
    ExponentialBackoff,
    RetryEventAdapter,
    RetryHandler,
    RetryPolicy,
    RetryQuotaChecker,
    StandardRetryConditions,
)

from local.moto_dynamodb import empty_tables, make_forgetful, make_transactions_quick, make_updates_quick
from local.template import Template
from tests.faults.boundary import Boundary, FaultySession
from tests.support.aws_services import REGION, MemorySqs, moto_dynamodb
from tests.support.fault_proxy import Answer, Broken, Call, FaultProxy

_TABLE = {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}
# As in clients.py.
TRIES = clients.CONFIG.retries["total_max_attempts"]


class Aws:
    """The template's tables, and the clients of whichever world there is now: `enter` begins another.

    In a region of their own, behind proxies that do as the world's boundary says.
    """

    def __init__(self, template: Template) -> None:
        self.template = template
        self.boundary: Boundary
        self.queues: MemorySqs
        self.proxies = {"dynamodb": FaultProxy(moto_dynamodb), "sqs": FaultProxy(self._take)}
        self.dynamodb, self.sqs = (self._client(service) for service in self.proxies)

    def _take(self, operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        return self.queues(operation, parameters, headers)

    def _answer(self, call: Call) -> Answer | Broken:
        return self.boundary.answer(call)

    def _client(self, service: str) -> Any:
        proxy = self.proxies[service]
        proxy.behaviour = self._answer
        client = clients.retrying_truncated_responses(_client(service, proxy.url, clients.CONFIG))
        client._endpoint.http_session = FaultySession(lambda: self.boundary, service)
        return client

    def enter(self, boundary: Boundary, queues: MemorySqs) -> None:
        """A world in which there is nothing yet."""
        self.boundary, self.queues = boundary, queues
        empty_tables()
        self.forget()

    def forget(self) -> None:
        """New clients have botocore's rules of when to try again, whole quota of it, and here no pauses between."""
        for client in (self.dynamodb, self.sqs):
            service = client.meta.service_model.service_id.hyphenize()
            name, unique_id = f"needs-retry.{service}", f"retry-config-{service}"
            handler = RetryHandler(
                RetryPolicy(StandardRetryConditions(max_attempts=TRIES), ExponentialBackoff(max_backoff=0)),
                RetryEventAdapter(),
                RetryQuotaChecker(RetryQuota()),
            )
            client.meta.events.unregister(name, unique_id=unique_id)
            client.meta.events.register(name, handler.needs_retry, unique_id=unique_id)


def _client(service: str, url: str, config: Config) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=config,
    )


@contextmanager
def faulty_aws(template: Template) -> Iterator[Aws]:
    """AWS with nothing but the tables in it."""
    make_forgetful()
    make_transactions_quick()
    make_updates_quick()
    aws = Aws(template)
    with aws.proxies["dynamodb"], aws.proxies["sqs"]:
        # By a client of its own: as long as there is no world, there is no boundary.
        aws.proxies["dynamodb"].behaviour = lambda call: call.forward()
        _create_tables(template, aws.proxies["dynamodb"].url)
        aws.proxies["dynamodb"].behaviour = aws._answer
        yield aws


def _create_tables(template: Template, url: str) -> None:
    client = _client("dynamodb", url, Config())
    for resource in template.cloudformation["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            properties: dict[str, Any] = resource["Properties"]
            client.create_table(**{name: value for name, value in properties.items() if name in _TABLE})
