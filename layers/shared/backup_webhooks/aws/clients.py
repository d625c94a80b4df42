"""AWS clients. Each is made once, at its first use, so that an import needs no environment and no network."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from backup_webhooks import __version__

if TYPE_CHECKING:
    from mypy_boto3_backup import BackupClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

# A call takes at most three tries of 1 + 2 s and the pauses between them. That must fit several times into a function's
# time limit. There is a connection for each thread that shares the client.
_TRIES = 3
CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=64,
    tcp_keepalive=True,
    # Validation is a tenth of what a call costs. mypy checks the types of parameters, and AWS their values.
    parameter_validation=False,
    # botocore makes its own for each call, in a quarter of the time of that call.
    user_agent=f"SimpleBackupWebhooks/{__version__}",
)


def retrying_truncated_responses[C: Any](client: C) -> C:
    """Return the client, which now retries truncated responses, and raises `ConnectionClosedError` after the last try.

    botocore accepts a truncated response. If it is no JSON, botocore reads it as an empty answer. botocore compares
    DynamoDB's checksum, but accepts the last try's response anyway: a stored item would seem absent.
    """
    client.meta.events.register("needs-retry", _retry_if_truncated)
    return client


def _retry_if_truncated(response: Any, attempts: int, **_: Any) -> float | None:
    """Return the seconds before another try, or None if botocore is to decide. Raise `ConnectionClosedError`."""
    if response is None:
        return None
    http, _parsed = response
    if len(http.content) == int(http.headers.get("content-length", len(http.content))):
        return None
    if attempts < _TRIES:
        return 0
    raise ConnectionClosedError(endpoint_url=http.url)


class Clients(Protocol):
    """The clients that a function uses: this module's, unless a test has its own."""

    def dynamodb(self) -> DynamoDBClient: ...
    def sqs(self) -> SQSClient: ...
    def sesv2(self) -> SESV2Client: ...
    def backup(self) -> BackupClient: ...


@cache
def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client that all stores of this function share."""
    client = retrying_truncated_responses(boto3.client("dynamodb", config=CONFIG))
    # botocore makes the exception classes at their first use. Two threads would make two sets, and one thread's
    # `except` would not catch the other set's exceptions.
    _ = client.exceptions
    return client


@cache
def sqs() -> SQSClient:
    """Return the SQS client."""
    return retrying_truncated_responses(boto3.client("sqs", config=CONFIG))


@cache
def sesv2() -> SESV2Client:
    """Return the SES client. It tries once: a message whose response was lost may have been sent."""
    return boto3.client("sesv2", config=CONFIG.merge(Config(read_timeout=30, retries={"total_max_attempts": 1})))


@cache
def backup() -> BackupClient:
    """Return the AWS Backup client. Its quota is a few calls a second, and no caller waits, so it retries longer."""
    config = CONFIG.merge(Config(read_timeout=20, retries={"total_max_attempts": 6}))
    return retrying_truncated_responses(boto3.client("backup", config=config))
