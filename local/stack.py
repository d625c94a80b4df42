"""The stack: moto's server with the template deployed into it, or the one that is already running."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from local.moto_dynamodb import make_atomic, make_forgetful, make_transactions_quick
from local.sign_in import AUDIENCE, CLIENT_ID
from local.template import PAGE_URL, PROJECT, Template

STACK_FILE = PROJECT / ".local" / "stack.json"
AWS_PORT = 8002
# What stands for credentials: the embedded server takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
# Targets are on this machine, and nobody waits for days.
PARAMETERS = {
    "AllowPrivateTargets": "true",
    "RetryDelaysSeconds": "1,2,4",
    "JwtAudience": AUDIENCE,
    "SignInClientId": CLIENT_ID,
    "EmailSender": "backups@example.com",
}
# For a stack into whose page nobody signs.
NO_ISSUER = "http://127.0.0.1:9"
PAGE = "http://127.0.0.1:8000/"


@dataclass(frozen=True)
class Function:
    """A function as it was deployed."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Stack:
    """A deployed stack. `endpoint`: where its AWS is, and `ses` its SES, and `backup` its AWS Backup; `outputs`: the
    template's, by name.
    """

    endpoint: str
    outputs: Mapping[str, str]
    ses: str | None = None
    backup: str | None = None

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's AWS; `AWS_ENDPOINT_URL_<SERVICE>` leads a service elsewhere."""
        return _session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", self.endpoint),
            config=Config(max_pool_connections=50),
        )

    def functions(self) -> dict[str, Function]:
        """The functions, with the environment that CloudFormation resolved."""
        return {
            deployed["FunctionName"]: Function(
                name=deployed["FunctionName"],
                handler=deployed["Handler"],
                timeout=deployed["Timeout"],
                memory=deployed["MemorySize"],
                # moto leaves a Number parameter a number; AWS makes all variables text.
                environment={name: str(value) for name, value in deployed["Environment"]["Variables"].items()},
            )
            for deployed in self.client("lambda").list_functions()["Functions"]
        }

    def aws_environment(self) -> dict[str, str]:
        """The variables that point an AWS SDK at this stack."""
        elsewhere = {name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL_")}
        own = {"AWS_ENDPOINT_URL_SESV2": self.ses, "AWS_ENDPOINT_URL_BACKUP": self.backup}
        known = {name: url for name, url in own.items() if url}
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint} | known | elsewhere


@cache
def _session() -> boto3.Session:
    """Of the stack's own clients. boto3's default session is left to the functions that run in this process."""
    return boto3.Session(
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def embedded(  # noqa: PLR0913, PLR0917 - where, and what is outside of it
    template: Template,
    host: str = "127.0.0.1",
    port: int = 0,
    issuer: str = NO_ISSUER,
    ses: str | None = None,
    page_url: str = PAGE,
    backup: str | None = None,
) -> Iterator[Stack]:
    """Start moto's server and deploy the template into it, with targets on this machine allowed.

    `issuer`: of tokens; `ses`: where e-mail is to go; `page_url`: where it says that the page is; `backup`: where AWS
    Backup is, which is a source of backups only then.

    Where AWS_ENDPOINT_URL is set, deploy into what is there instead. AWS_ENDPOINT_URL_DYNAMODB leads the tables alone
    elsewhere.
    """
    if elsewhere := os.environ.get("AWS_ENDPOINT_URL"):
        outputs = deploy(Stack(elsewhere, {}, ses, backup), template, issuer, page_url)
        yield Stack(elsewhere, outputs, ses, backup)
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_atomic()
    make_forgetful()
    make_transactions_quick()
    # moto's server thread would die of it alone, and its starter wait for ever.
    require_free(host, port)
    server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    server.start()
    try:
        _, actual_port = server.get_host_and_port()
        endpoint = f"http://{host}:{actual_port}"
        outputs = deploy(Stack(endpoint, {}, ses, backup), template, issuer, page_url)
        yield Stack(endpoint, outputs, ses, backup)
    finally:
        server.stop()


def require_free(host: str, port: int) -> None:
    """`SystemExit` where the port can't be listened on."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise SystemExit(
            f"{host}:{port} can't be listened on ({error.strerror}). Is a stack running already?"
        ) from None


def deploy(stack: Stack, template: Template, issuer: str, page_url: str) -> dict[str, str]:
    """Deploy the template with CloudFormation; the outputs by name."""
    source = {"AwsBackupSource": "true"} if stack.backup else {}
    parameters = PARAMETERS | {"JwtIssuer": issuer, PAGE_URL: page_url} | source
    cloudformation = stack.client("cloudformation")
    # What another run has left at an endpoint that outlives it.
    cloudformation.delete_stack(StackName="local")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="local")
    cloudformation.create_stack(
        StackName="local",
        TemplateBody=json.dumps(template.cloudformation),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="local")
    if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ:
        _create_tables(stack, template)
    (deployed,) = cloudformation.describe_stacks(StackName="local")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}


def _create_tables(stack: Stack, template: Template) -> None:
    """CloudFormation made its tables in moto; make them anew in the DynamoDB that the environment leads to."""
    dynamodb = stack.client("dynamodb")
    understood = {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}
    existing = set(dynamodb.list_tables()["TableNames"])
    for resource in template.cloudformation["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            properties = resource["Properties"]
            if properties["TableName"] in existing:
                dynamodb.delete_table(TableName=properties["TableName"])
            dynamodb.create_table(**{name: value for name, value in properties.items() if name in understood})


@contextmanager
def published(stack: Stack) -> Iterator[None]:
    """Let the commands of `python -m local` in other terminals find this stack while it runs."""
    STACK_FILE.parent.mkdir(exist_ok=True)
    STACK_FILE.write_text(json.dumps(asdict(stack)))
    try:
        yield
    finally:
        STACK_FILE.unlink(missing_ok=True)


def running() -> Stack:
    """The stack that `make run` has up; `SystemExit` with what to do where there is none."""
    try:
        return Stack(**json.loads(STACK_FILE.read_text()))
    except FileNotFoundError:
        raise SystemExit("No stack is running here: start one with `make run` in another terminal.") from None
