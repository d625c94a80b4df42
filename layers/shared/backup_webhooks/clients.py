"""AWS clients: each made once, at its first use, so that importing a module needs no environment and no network."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_backup import BackupClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

# The worst case of one call, three tries of 1 + 2 s each and the pauses between them, must fit several times into a
# function's time limit. The connections are as many as the threads that share the client.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=64,
    tcp_keepalive=True,
    # A tenth of what a call costs us. The types of parameters are mypy's to check, their values AWS's.
    parameter_validation=False,
)


@cache
def dynamodb() -> DynamoDBClient:
    """The DynamoDB client that all stores of this function share."""
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def sqs() -> SQSClient:
    """The SQS client."""
    return boto3.client("sqs", config=_CONFIG)


@cache
def sesv2() -> SESV2Client:
    """The SES client. It tries once: a message whose answer was lost may have been sent."""
    return boto3.client("sesv2", config=_CONFIG.merge(Config(read_timeout=30, retries={"total_max_attempts": 1})))


@cache
def backup() -> BackupClient:
    """The AWS Backup client. Its quotas are a few calls a second and region, and nobody waits for what it reads."""
    return boto3.client("backup", config=_CONFIG.merge(Config(read_timeout=20, retries={"total_max_attempts": 6})))
