"""The stack: moto's server with the template deployed into it, or a stack that is running already."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.server import ThreadedMotoServer

from local.ending import at_signal
from local.moto_patches import patch_moto
from local.sign_in import AUDIENCE, CLIENT_ID
from local.template import PAGE_URL, PROJECT, Template

# LOCAL_FOLDER: for a second stack beside the first, and for the commands that are to talk to it.
STACK_FILE = Path(os.environ.get("LOCAL_FOLDER") or PROJECT / ".local").resolve() / "stack.json"
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
    "Observability": "full",
}
# For a stack without sign-in: nothing listens there.
NO_ISSUER = "http://127.0.0.1:9"
PAGE = "http://127.0.0.1:8000/"
STACK_NAME = "local"
_MADE_HERE = {"Key": "made-by", "Value": "simple-backup-webhooks/local"}
_ANSWERS_WITHIN_SECONDS = 2


def log_file(name: str) -> Path:
    """Return the log of a function or a queue."""
    return STACK_FILE.parent / f"{name}.log"


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

    `outputs`: the template's outputs by name. `page_url`: the page's URL in e-mails.
    """

    endpoint: str
    outputs: Mapping[str, str]
    ses: str | None = None
    backup: str | None = None
    page_url: str = PAGE

    def client(self, service: str) -> Any:
        """Return a boto3 client of this stack. `AWS_ENDPOINT_URL_<SERVICE>` replaces the endpoint of a service."""
        return _client(service, os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", self.endpoint))

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


@cache
def _client(service: str, url: str) -> Any:
    """Return the client of that URL: to make one takes longer than ten calls, and threads may share it."""
    return _session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        config=Config(max_pool_connections=50, user_agent="local"),
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
    replace: bool = True,
) -> Iterator[Stack]:
    """Start moto's server, deploy the template into it, and allow targets on this machine.

    `issuer`: of the tokens. `ses`: the URL of the stand-in for SES. `page_url`: the page's URL in e-mails.
    `backup`: the URL of AWS Backup, which is a source of backups only if it is given.

    If AWS_ENDPOINT_URL is set, deploy to that endpoint. AWS_ENDPOINT_URL_DYNAMODB moves only the tables. `replace`:
    whether a stack that an earlier run left there, and its tables, may be replaced.
    """
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        stack = Stack(endpoint, {}, ses, backup, page_url)
        yield dataclasses.replace(stack, outputs=deploy(stack, template, issuer, page_url, replace))
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    patch_moto()
    # On a taken port moto's server thread would end, and its starter would wait for ever.
    require_free(host, port)
    server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    server.start()
    try:
        _, actual_port = server.get_host_and_port()
        stack = Stack(f"http://{host}:{actual_port}", {}, ses, backup, page_url)
        yield dataclasses.replace(stack, outputs=deploy(stack, template, issuer, page_url, replace))
    finally:
        server.stop()


def require_free(host: str, port: int) -> None:
    """Raise `SystemExit` if the port is taken."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise SystemExit(
            f"cannot listen on {host}:{port} ({error.strerror}). Is a stack running already? "
            "`make run PORT=9000` takes other ports."
        ) from None


def deploy(stack: Stack, template: Template, issuer: str, page_url: str, replace: bool = True) -> dict[str, str]:
    """Deploy the template with CloudFormation. Return the outputs by name.

    Raise `SystemExit` if the endpoint holds a stack of that name, unless it was made here and `replace` allows it.
    """
    source = {"AwsBackupSource": "true"} if stack.backup else {}
    parameters = PARAMETERS | {"JwtIssuer": issuer, PAGE_URL: page_url} | source
    cloudformation = stack.client("cloudformation")
    _require_replaceable(stack, template, replace)
    # An endpoint that outlives a run may still have its stack.
    cloudformation.delete_stack(StackName=STACK_NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK_NAME)
    cloudformation.create_stack(
        StackName=STACK_NAME,
        Tags=[_MADE_HERE],
        TemplateBody=json.dumps(template.cloudformation),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK_NAME)
    if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ:
        _create_tables(stack, template)
    (deployed,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}


def _require_replaceable(stack: Stack, template: Template, replace: bool) -> None:
    try:
        stacks = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except EndpointConnectionError:
        raise SystemExit(
            f"AWS_ENDPOINT_URL={stack.endpoint}: nothing answers there. Unset it, or start that AWS."
        ) from None
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        stacks = []
    if stacks and not (replace and _MADE_HERE in stacks[0].get("Tags", ())):
        raise SystemExit(
            f"AWS_ENDPOINT_URL={stack.endpoint} holds a stack named {STACK_NAME!r} already, which this run has not "
            "made. Unset AWS_ENDPOINT_URL, or delete that stack: "
            f"aws cloudformation delete-stack --stack-name {STACK_NAME}"
        )
    if not replace and (url := os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")):
        existing = set(stack.client("dynamodb").list_tables()["TableNames"])
        if taken := sorted(existing & set(template.cloudformation["Resources"])):
            raise SystemExit(
                f"AWS_ENDPOINT_URL_DYNAMODB={url} holds tables already, which this run has not made: "
                f"{', '.join(taken)}. Unset AWS_ENDPOINT_URL_DYNAMODB, or delete them."
            )


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
    text = json.dumps({"pid": os.getpid(), "stack": asdict(stack)})
    STACK_FILE.parent.mkdir(parents=True, exist_ok=True)
    STACK_FILE.write_text(text)

    def withdraw() -> None:
        # Another stack may have taken the file over.
        if STACK_FILE.exists() and STACK_FILE.read_text() == text:
            STACK_FILE.unlink(missing_ok=True)

    try:
        with at_signal(withdraw):
            yield
    finally:
        withdraw()


def running() -> Stack:
    """Return the stack that `make run` has started. Raise `SystemExit` if there is none."""
    try:
        found = json.loads(STACK_FILE.read_text())
        stack = Stack(**found["stack"])
        # A run that was killed has left its file. Its process may be gone, and its port another program's.
        os.kill(found["pid"], 0)
        url = urlsplit(stack.endpoint)
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        socket.create_connection(address, timeout=_ANSWERS_WITHIN_SECONDS).close()
    except (OSError, ValueError, KeyError, TypeError):
        raise SystemExit("No stack is running here: start one with `make run` in another terminal.") from None
    return stack
