"""Truncated responses of AWS: the clients retry them, and never take them for empty answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from backup_webhooks.aws import clients
from botocore.exceptions import ConnectionClosedError

from local.aws_backup import AwsBackup
from local.stack import Stack
from tests.integration.conftest import Handler
from tests.support.aws_backup import api_job, job_event
from tests.support.fault_proxy import Answer, Broken, Call, FaultProxy


@pytest.fixture
def get(stack: Stack, dynamodb_proxy: FaultProxy, handler_of: Callable[..., Handler]) -> Callable[[], Any]:
    """Reads an item that is stored, with the functions' client."""
    key = {name: {"S": "truncated"} for name in ("account", "serverPolicyId")}
    table = stack.outputs["ServerPoliciesTableName"]
    stack.client("dynamodb").put_item(TableName=table, Item=key | {"name": {"S": "Nightly"}})
    handler_of("notifier", AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)
    return lambda: clients.dynamodb().get_item(TableName=table, Key=key)["Item"]["name"]["S"]


@pytest.fixture
def send(sqs_proxy: FaultProxy, new_queue: Callable[[], str], handler_of: Callable[..., Handler]) -> Callable[[], Any]:
    """Sends a message, and returns the id of the entry that SQS accepted."""
    queue = new_queue()
    handler_of("notifier", AWS_ENDPOINT_URL_SQS=sqs_proxy.url)
    entries: Any = [{"Id": "0", "MessageBody": "truncated"}]
    return lambda: clients.sqs().send_message_batch(QueueUrl=queue, Entries=entries)["Successful"][0]["Id"]


def truncated_once(proxy: FaultProxy) -> Callable[[Call], Answer | Broken]:
    return lambda call: Broken(call.forward()) if len(proxy.calls) == 1 else call.forward()


def test_a_truncated_response_of_dynamodb_is_retried(get: Callable[[], Any], dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.behaviour = truncated_once(dynamodb_proxy)

    assert get() == "Nightly"
    assert len(dynamodb_proxy.calls) == 2


def test_a_truncated_response_of_sqs_is_retried(send: Callable[[], Any], sqs_proxy: FaultProxy) -> None:
    sqs_proxy.behaviour = truncated_once(sqs_proxy)

    assert send() == "0"
    assert len(sqs_proxy.calls) == 2


def test_a_truncated_response_of_aws_backup_is_retried(
    stack: Stack, backup: AwsBackup, handler_of: Callable[..., Handler]
) -> None:
    backup.jobs = [api_job(job_event("COMPLETED"))]
    with FaultProxy(backup.url) as proxy:
        proxy.behaviour = truncated_once(proxy)
        handler_of("aws_backup", AWS_ENDPOINT_URL_BACKUP=proxy.url)

        assert len(clients.backup().list_backup_jobs()["BackupJobs"]) == 1

    assert len(proxy.calls) == 2


def test_a_response_that_is_always_truncated_is_a_failure(get: Callable[[], Any], dynamodb_proxy: FaultProxy) -> None:
    dynamodb_proxy.behaviour = lambda call: Broken(call.forward())

    with pytest.raises(ConnectionClosedError):
        get()
    assert len(dynamodb_proxy.calls) == 3
