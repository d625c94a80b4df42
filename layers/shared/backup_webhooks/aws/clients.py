"""AWS clients: each made once, at its first use, so that importing a module needs no environment and no network."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

if TYPE_CHECKING:
    from mypy_boto3_backup import BackupClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

# The worst case of one call, three tries of 1 + 2 s each and the pauses between them, must fit several times into a
# function's time limit. The connections are as many as the threads that share the client.
_TRIES = 3
CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=64,
    tcp_keepalive=True,
    # A tenth of what a call costs us. The types of parameters are mypy's to check, their values AWS's.
    parameter_validation=False,
)


def with_whole_answers[C: Any](client: C) -> C:
    """The client, which now asks again where an answer breaks off, and raises `ConnectionClosedError` in the end.

    botocore takes what has come for the whole, and what is no JSON then for an answer in which nothing stands.
    DynamoDB's it compares with their checksum, but takes the last try's all the same: an item that is there would not
    be found.
    """
    client.meta.events.register("needs-retry", _ask_again_if_torn)
    return client


def _ask_again_if_torn(response: Any, attempts: int, **_: Any) -> float | None:
    """How many seconds to wait before another try; None where the answer, if any, is for botocore to judge."""
    if response is None:
        return None
    http, _parsed = response
    if len(http.content) == int(http.headers.get("content-length", len(http.content))):
        return None
    if attempts < _TRIES:
        return 0
    raise ConnectionClosedError(endpoint_url=http.url)


@cache
def dynamodb() -> DynamoDBClient:
    """The DynamoDB client that all stores of this function share."""
    client = with_whole_answers(boto3.client("dynamodb", config=CONFIG))
    # botocore makes them at the first use, two threads a set each: neither would catch what the other's call raises.
    _ = client.exceptions
    return client


@cache
def sqs() -> SQSClient:
    """The SQS client."""
    return with_whole_answers(boto3.client("sqs", config=CONFIG))


@cache
def sesv2() -> SESV2Client:
    """The SES client. It tries once: a message whose answer was lost may have been sent."""
    return boto3.client("sesv2", config=CONFIG.merge(Config(read_timeout=30, retries={"total_max_attempts": 1})))


@cache
def backup() -> BackupClient:
    """The AWS Backup client. Its quotas are a few calls a second and region, and nobody waits for what it reads."""
    return boto3.client("backup", config=CONFIG.merge(Config(read_timeout=20, retries={"total_max_attempts": 6})))
