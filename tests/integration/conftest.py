"""The world of the integration tests: the template's own tables and queues, real HTTP on 127.0.0.1, the real handler.

DynamoDB is moto's, or the one that AWS_ENDPOINT_URL_DYNAMODB leads to.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from backup_webhooks.api.services import services
from backup_webhooks.aws import clients
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target
from botocore.config import Config

from local.aws_backup import AwsBackup
from local.receiver import Receiver
from local.stack import CREDENTIALS, Stack
from local.targets import save_target
from local.template import Template
from tests.support.access import Access
from tests.support.api import Client
from tests.support.fault_proxy import FaultProxy
from tests.support.messages import Context, sqs_event
from tests.support.pings import Script, taken_off
from tests.support.queue import queued
from tests.support.rights import NAME, UnusedRights
from tests.support.roles import Roles
from tests.world.aws import Aws, moto_dynamodb


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def dynamodb_proxy(stack: Stack) -> Iterator[FaultProxy]:
    with FaultProxy(stack.client("dynamodb").meta.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def sqs_proxy(stack: Stack) -> Iterator[FaultProxy]:
    with FaultProxy(stack.client("sqs").meta.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def new_queue(stack: Stack) -> Iterator[Callable[[], str]]:
    """Makes queues of the test's own, and returns their URLs."""
    sqs, urls = stack.client("sqs"), []

    def make() -> str:
        urls.append(sqs.create_queue(QueueName=f"test-{uuid.uuid4()}")["QueueUrl"])
        return str(urls[-1])

    yield make
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def emptied(stack: Stack) -> Iterator[None]:
    """Empty BackupEventsQueue after the test, whose functions in their own processes may have sent to it."""
    yield
    taken_off(stack, stack.outputs["BackupEventsQueueUrl"])


@dataclass(frozen=True)
class Account:
    """An account of the test's own, so that tests share tables without meeting."""

    alias: str
    stack: Stack

    def set_target(self, event: EventType, url: str, **settings: Any) -> Target:
        save_target(self.targets, Target(self.alias, [event], url, **settings))
        stored = self.targets.load(self.alias).with_url(url, [event])
        assert stored
        return stored

    def remove(self, target: Target) -> None:
        self.targets.change(self.alias, lambda seen: seen.without(target.target_id))

    @property
    def targets(self) -> TargetsStore:
        return TargetsStore(self.stack.client("dynamodb"), self.stack.outputs["WebhooksTableName"])

    def target(self) -> Target:
        """Return the account's only target as it is stored now."""
        (target,) = self.targets.load(self.alias).targets
        return target

    def deliveries(self, day: str = "2018-12-20") -> list[dict[str, Any]]:
        """Return the delivery log of a day, in the order of its keys."""
        answer = self.stack.client("dynamodb").query(
            TableName=self.stack.outputs["DeliveriesTableName"],
            KeyConditionExpression="accountDay = :day",
            ExpressionAttributeValues={":day": {"S": f"{self.alias}#{day}"}},
            ConsistentRead=True,
        )
        return [from_item(item) for item in answer["Items"]]


def new_account(stack: Stack) -> Account:
    return Account(f"T{uuid.uuid4().hex[:8].upper()}", stack)


@pytest.fixture
def account(stack: Stack) -> Account:
    return new_account(stack)


@pytest.fixture(scope="session")
def access(template: Template, pytestconfig: pytest.Config) -> Access:
    """Compares the calls of the functions with the rights of their roles."""
    access = Access(Roles(template.whole))
    plugin = pytestconfig.pluginmanager.get_plugin(NAME)
    assert isinstance(plugin, UnusedRights)
    plugin.access = access
    # Only the functions' clients use this session. The stack's own clients have another.
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-parameter-build", access.check)  # type: ignore[union-attr]
    return access


type Handler = Callable[[dict[str, Any], Any], Any]


@pytest.fixture
def handler_of(stack: Stack, access: Access, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Handler]]:
    """Makes a function's own handler in a new execution environment, with some variables changed.

    The function may call only what its role allows. Another call fails the test.
    """

    def make(function: str, **changes: str) -> Handler:
        name = f"{function.title().replace('_', '')}Function"
        for variable, value in (stack.functions()[name].environment | stack.aws_environment() | changes).items():
            monkeypatch.setenv(variable, value)
        # A busy machine answers later than AWS, and a call that botocore repeats may be done twice.
        monkeypatch.setattr(clients, "CONFIG", clients.CONFIG.merge(Config(connect_timeout=60, read_timeout=60)))
        # Imported in the function's environment, as Lambda does: Powertools reads it then.
        app = importlib.import_module(f"functions.{function}.app")
        # A new environment has no cached clients.
        for made_once in (clients.dynamodb, clients.sqs, clients.sesv2, clients.backup, services, *vars(app).values()):
            if hasattr(made_once, "cache_clear"):
                made_once.cache_clear()

        def handler(event: dict[str, Any], context: Any) -> Any:
            with access.running(name):
                return app.lambda_handler(event, context)

        return handler

    yield make
    denied = access.take_denied()
    assert not denied, "\n".join(dict.fromkeys(denied))


type Invoke = Callable[..., dict[str, Any]]


@pytest.fixture
def handler_at(stack: Stack, handler_of: Callable[..., Handler]) -> Callable[..., Invoke]:
    """Makes a function's handler of batches, with DynamoDB and SQS at the given endpoints."""

    def at(function: str, *, dynamodb_url: str | None = None, sqs_url: str | None = None) -> Invoke:
        handler = handler_of(
            function,
            AWS_ENDPOINT_URL_DYNAMODB=dynamodb_url or stack.client("dynamodb").meta.endpoint_url,
            AWS_ENDPOINT_URL_SQS=sqs_url or stack.client("sqs").meta.endpoint_url,
        )
        return lambda *bodies, **context: dict(handler(sqs_event(*bodies), Context(**context)))

    return at


@pytest.fixture
def notifier_at(handler_at: Callable[..., Invoke]) -> Callable[[str], Invoke]:
    """Makes the notifier's handler with DynamoDB at the given endpoint."""
    return lambda dynamodb_url: handler_at("notifier", dynamodb_url=dynamodb_url)


@pytest.fixture
def notifier(handler_at: Callable[..., Invoke]) -> Invoke:
    return handler_at("notifier")


@pytest.fixture
def redeliverer(handler_at: Callable[..., Invoke]) -> Invoke:
    return handler_at("redeliverer")


@pytest.fixture(scope="session")
def world_aws(template: Template, stack: Stack) -> Iterator[Aws]:
    """The AWS of worlds on the stack's tables, in which the tests' accounts and the handlers store too."""
    region = CREDENTIALS["AWS_DEFAULT_REGION"]
    elsewhere = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"} & os.environ.keys()
    url = stack.client("dynamodb").meta.endpoint_url
    aws = Aws(template, region, url if elsewhere else moto_dynamodb(region))
    with aws.running():
        yield aws


@pytest.fixture
def client_of(handler_of: Callable[..., Handler], new_queue: Callable[[], str]) -> Callable[..., Client]:
    """Makes clients of the API. `claim`: as in `Client`. `environment`: variables of the function to change.

    Their functions send to a queue of the test's own.
    """
    own = {"BACKUP_EVENTS_QUEUE_URL": new_queue()}

    def make(claim: str | None, **environment: str) -> Client:
        return Client(handler_of("webhooks_api", **own | environment), claim)

    return make


@pytest.fixture
def client(account: Account, client_of: Callable[..., Client]) -> Client:
    """A client of the account."""
    return client_of(account.alias)


Source = Callable[..., dict[str, int]]


@pytest.fixture
def backup(stack: Stack, every_job: AwsBackup) -> Iterator[AwsBackup]:
    """An empty AWS Backup without stored state, and an empty queue."""
    client, table = stack.client("dynamodb"), stack.outputs["SourcesTableName"]
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={name: item[name] for name in ("collection", "entry")})
    queued(stack)
    yield every_job
    queued(stack)
    every_job.jobs, every_job.plans, every_job.selections, every_job.resources = [], {}, {}, []
    every_job.page_size, every_job.fault = 1000, lambda path: None


@pytest.fixture
def source_at(stack: Stack, backup: AwsBackup, handler_of: Callable[..., Handler]) -> Callable[..., Source]:
    """Makes the handler in the function's own environment, with DynamoDB and SQS at the given endpoints."""

    # Read before any handler is made, as a handler's environment also applies to the next client.
    usual = {service: stack.client(service).meta.endpoint_url for service in ("dynamodb", "sqs")}

    def at(**urls: str) -> Source:
        endpoints = {f"AWS_ENDPOINT_URL_{service.upper()}": url for service, url in (usual | urls).items()}
        handler = handler_of("aws_backup", **endpoints)
        return lambda event, **context: dict(handler(event, Context(**context)))

    return at


@pytest.fixture
def source(source_at: Callable[..., Source]) -> Source:
    return source_at()


@pytest.fixture
def script_at(stack: Stack, new_queue: Callable[[], str], handler_of: Callable[..., Handler]) -> Callable[..., Script]:
    """Makes scripts, with some variables of the function's environment changed."""
    queue = new_queue()

    def make(**environment: str) -> Script:
        return Script(handler_of("ping", BACKUP_EVENTS_QUEUE_URL=queue, **environment), stack, queue)

    return make
