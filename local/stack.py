"""The stack: moto's server with the template deployed into it, or a stack that is running already."""

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

from local.moto_dynamodb import make_atomic, make_forgetful, make_transactions_quick, make_updates_quick
from local.sign_in import AUDIENCE, CLIENT_ID
from local.template import PAGE_URL, PROJECT, Template

STACK_FILE = PROJECT / ".local" / "stack.json"
AWS_PORT = 8002
# The embedded server accepts any credentials.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
# Targets are on this machine, and retries must not take days.
PARAMETERS = {
    "AllowPrivateTargets": "true",
    "RetryDelaysSeconds": "1,2,4",
    "JwtAudience": AUDIENCE,
    "SignInClientId": CLIENT_ID,
    "EmailSender": "backups@example.com",
}
# For a stack without sign-in: nothing listens there.
NO_ISSUER = "http://127.0.0.1:9"
PAGE = "http://127.0.0.1:8000/"


@dataclass(frozen=True)
class Function:
    """A deployed function. `timeout` is in seconds, `memory` in MB."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Stack:
    """A deployed stack. `endpoint`, `ses`, `backup`: the URLs of its AWS, its SES and its AWS Backup.

    `outputs`: the template's outputs by name.
    """

    endpoint: str
    outputs: Mapping[str, str]
    ses: str | None = None
    backup: str | None = None

    def client(self, service: str) -> Any:
        """Return a boto3 client of this stack. `AWS_ENDPOINT_URL_<SERVICE>` replaces the endpoint of a service."""
        return _session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", self.endpoint),
            config=Config(max_pool_connections=50),
        )

    def functions(self) -> dict[str, Function]:
        """Return the functions by name, with the environment that CloudFormation resolved."""
        return {
            deployed["FunctionName"]: Function(
                name=deployed["FunctionName"],
                handler=deployed["Handler"],
                timeout=deployed["Timeout"],
                memory=deployed["MemorySize"],
                # moto keeps a Number parameter as a number; on AWS all variables are text.
                environment={name: str(value) for name, value in deployed["Environment"]["Variables"].items()},
            )
            for deployed in self.client("lambda").list_functions()["Functions"]
        }

    def aws_environment(self) -> dict[str, str]:
        """Return the environment variables that make an AWS SDK use this stack."""
        replaced = {name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL_")}
        services = {"AWS_ENDPOINT_URL_SESV2": self.ses, "AWS_ENDPOINT_URL_BACKUP": self.backup}
        given = {name: url for name, url in services.items() if url}
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint} | given | replaced


@cache
def _session() -> boto3.Session:
    """Return the session of the stack's clients. Functions that run in this process use boto3's default session."""
    return boto3.Session(
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def embedded(  # noqa: PLR0913, PLR0917 - the address, and the services beside it
    template: Template,
    host: str = "127.0.0.1",
    port: int = 0,
    issuer: str = NO_ISSUER,
    ses: str | None = None,
    page_url: str = PAGE,
    backup: str | None = None,
) -> Iterator[Stack]:
    """Start moto's server, deploy the template into it, and allow targets on this machine.

    `issuer`: of the tokens. `ses`: the URL of the stand-in for SES. `page_url`: the page's URL in e-mails.
    `backup`: the URL of AWS Backup, which is a source of backups only if it is given.

    If AWS_ENDPOINT_URL is set, deploy to that endpoint. AWS_ENDPOINT_URL_DYNAMODB moves only the tables.
    """
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        outputs = deploy(Stack(endpoint, {}, ses, backup), template, issuer, page_url)
        yield Stack(endpoint, outputs, ses, backup)
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_atomic()
    make_forgetful()
    make_transactions_quick()
    make_updates_quick()
    # On a taken port moto's server thread would end, and its starter would wait for ever.
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
    """Raise `SystemExit` if the port is taken."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise SystemExit(f"cannot listen on {host}:{port} ({error.strerror}). Is a stack running already?") from None


def deploy(stack: Stack, template: Template, issuer: str, page_url: str) -> dict[str, str]:
    """Deploy the template with CloudFormation. Return the outputs by name."""
    source = {"AwsBackupSource": "true"} if stack.backup else {}
    parameters = PARAMETERS | {"JwtIssuer": issuer, PAGE_URL: page_url} | source
    cloudformation = stack.client("cloudformation")
    # An endpoint that outlives a run may still have its stack.
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
    """Create the tables, which CloudFormation has made in moto, in the DynamoDB that the environment names."""
    dynamodb = stack.client("dynamodb")
    supported = {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}
    existing = set(dynamodb.list_tables()["TableNames"])
    for resource in template.cloudformation["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            properties = resource["Properties"]
            if properties["TableName"] in existing:
                dynamodb.delete_table(TableName=properties["TableName"])
            dynamodb.create_table(**{name: value for name, value in properties.items() if name in supported})


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
    """Return the stack that `make run` has started. Raise `SystemExit` if there is none."""
    try:
        return Stack(**json.loads(STACK_FILE.read_text()))
    except FileNotFoundError:
        raise SystemExit("No stack is running here: start one with `make run` in another terminal.") from None
