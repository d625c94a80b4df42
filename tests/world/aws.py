"""AWS as the functions of a world meet it: their own clients, HTTP, proxies; behind them moto, queues and stand-ins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import boto3
from backup_webhooks.api.resolver import WebhooksApi
from backup_webhooks.aws import clients
from botocore.awsrequest import AWSPreparedRequest
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import (
    ExponentialBackoff,
    RetryEventAdapter,
    RetryHandler,
    RetryPolicy,
    RetryQuotaChecker,
    StandardRetryConditions,
)
from moto.core.request import normalize_request
from moto.dynamodb.responses import DynamoHandler

from local.aws_backup import AwsBackup
from local.mailbox import Mailbox
from local.moto_dynamodb import empty_tables
from local.moto_patches import patch_moto
from local.stack import CREDENTIALS
from local.template import Template
from tests.support.fault_proxy import Answer, Broken, Call, FaultProxy, Service
from tests.world.boundary import Boundary, FaultySession
from tests.world.queues import MemoryQueue, MemorySqs

# moto has one world per region, and no other test uses this one.
REGION = "eu-central-1"
_OK = 200
_TABLE = {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}
_MAKERS: Mapping[str, Any] = {
    "dynamodb": clients.dynamodb,
    "sqs": clients.sqs,
    "sesv2": clients.sesv2,
    "backup": clients.backup,
}


def moto_dynamodb(region: str) -> Service:
    """Return moto's DynamoDB of a region without its web server, which takes as long again as the call.

    As DynamoDB, and not as moto, it does a transaction once whose call is repeated, and gives the same answer.
    """
    url, transactions = f"https://dynamodb.{region}.amazonaws.com/", dict[str, Answer]()

    def service(operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        token = parameters.get("ClientRequestToken", "")
        if token in transactions:
            return transactions[token]
        request = AWSPreparedRequest("POST", url, dict(headers), json.dumps(parameters).encode(), False)
        status, _, body = DynamoHandler.dispatch(normalize_request(request), url, request.headers)
        answer = int(status), body.encode() if isinstance(body, str) else body
        if token and answer[0] == _OK:
            transactions[token] = answer
        return answer

    return service


class Aws:
    """The clients of whichever world there is now, as in `backup_webhooks.aws.clients`. `enter` begins another world.

    `mailbox` is SES, `backup_service` is AWS Backup, and `api` is webhooks_api, which a test that needs it sets.
    `environment` leads boto3 to all of them. `dynamodb` has the template's tables: if they are `own`, each world begins
    with empty ones.
    """

    def __init__(self, template: Template, region: str, dynamodb: str | Service, *, own: bool = False) -> None:
        self.template, self._own = template, own
        self.boundary: Boundary
        self.queues: MemorySqs
        self.api: WebhooksApi
        self.mailbox, self.backup_service = Mailbox(), AwsBackup()
        upstreams = {
            "dynamodb": dynamodb,
            "sqs": self._take,
            "sesv2": self.mailbox.url,
            "backup": self.backup_service.url,
        }
        self.proxies = {service: FaultProxy(upstream) for service, upstream in upstreams.items()}
        for service, proxy in self.proxies.items():
            proxy.behaviour = self._answer_of(service)
        urls = {f"AWS_ENDPOINT_URL_{service.upper()}": proxy.url for service, proxy in self.proxies.items()}
        # By the function's folder in functions/.
        self.timeouts = {
            folder.name: timedelta(seconds=template.cloudformation["Resources"][name]["Properties"]["Timeout"])
            for name, folder in template.sources.items()
        }
        self.environment = CREDENTIALS | {"AWS_DEFAULT_REGION": region} | urls
        self._made: dict[str, Any] = {}
        self._instrumented: list[Any] = []

    def _take(self, operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        return self.queues(operation, parameters, headers)

    def _answer_of(self, service: str) -> Callable[[Call], Answer | Broken]:
        return lambda call: self.boundary.answer(service, call)

    def dynamodb(self) -> Any:
        return self._client("dynamodb")

    def sqs(self) -> Any:
        return self._client("sqs")

    def sesv2(self) -> Any:
        return self._client("sesv2")

    def backup(self) -> Any:
        return self._client("backup")

    def _client(self, service: str) -> Any:
        if service not in self._made:
            with patch.dict(os.environ, self.environment):
                self._made[service] = _MAKERS[service].__wrapped__()
            self.instrument(self._made[service])
        return self._made[service]

    def instrument(self, client: Any) -> None:
        """Let the client's requests cross the boundary, in whichever world they are made."""
        service = client.meta.service_model.service_name
        self._instrumented.append(client)
        limit = timedelta(seconds=client.meta.config.read_timeout)
        client._endpoint.http_session = FaultySession(lambda: self.boundary, service, self.proxies[service], limit)
        _retry_at_once(client)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve the proxies and the stand-ins."""
        with ExitStack() as running:
            for one in (*self.proxies.values(), self.mailbox, self.backup_service):
                running.enter_context(one)
            yield

    def enter(self, boundary: Boundary, queues: Mapping[str, MemoryQueue]) -> MemorySqs:
        """Begin a world. Return its SQS."""
        self.boundary, self.queues = boundary, MemorySqs(queues)
        if self._own:
            empty_tables(REGION)
        self.mailbox.mails.clear()
        self.mailbox.refuse = self.mailbox.throttle = lambda mail: False
        self.mailbox.on_mail = lambda mail: None
        self.backup_service.jobs, self.backup_service.plans = [], {}
        self.backup_service.selections, self.backup_service.resources = {}, []
        self.forget()
        return self.queues

    def forget(self) -> None:
        """New clients have a whole quota of botocore's retries."""
        for client in self._instrumented:
            _retry_at_once(client)


def _retry_at_once(client: Any) -> None:
    """Give the client botocore's rules of when to try again, a whole quota of it, and no pauses."""
    service = client.meta.service_model.service_id.hyphenize()
    name, unique_id = f"needs-retry.{service}", f"retry-config-{service}"
    tries = client.meta.config.retries["total_max_attempts"]
    handler = RetryHandler(
        RetryPolicy(StandardRetryConditions(max_attempts=tries), ExponentialBackoff(max_backoff=0)),
        RetryEventAdapter(),
        RetryQuotaChecker(RetryQuota()),
    )
    client.meta.events.unregister(name, unique_id=unique_id)
    client.meta.events.register(name, handler.needs_retry, unique_id=unique_id)


@contextmanager
def own_aws(template: Template, dynamodb: str | None = None) -> Iterator[Aws]:
    """Yield an AWS of its own with the template's tables, which are empty, and nothing else.

    `dynamodb`: the URL of another DynamoDB than moto's, whose tables of these names it replaces.
    """
    patch_moto()
    upstream = dynamodb or moto_dynamodb(REGION)
    aws = Aws(template, REGION, upstream, own=dynamodb is None)
    _create_tables(template, upstream)
    with aws.running():
        yield aws
    empty_tables(REGION)


def _create_tables(template: Template, dynamodb: str | Service) -> None:
    with FaultProxy(dynamodb) as proxy:
        client = boto3.client(
            "dynamodb",
            endpoint_url=proxy.url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        existing = client.list_tables()["TableNames"]
        for resource in template.cloudformation["Resources"].values():
            if resource["Type"] == "AWS::DynamoDB::Table":
                properties: dict[str, Any] = resource["Properties"]
                if properties["TableName"] in existing:
                    client.delete_table(TableName=properties["TableName"])
                client.create_table(**{name: value for name, value in properties.items() if name in _TABLE})
