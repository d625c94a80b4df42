"""Each role allows the calls that are made with it, and no others.

A function's calls are checked against its role at the time of the call, in all tests that run its handler in the
tests' process (`handler_of`). Rights that no test has used fail the whole run at its end (`tests.support.rights`).
`make test TESTS="tests/integration -m handler"` runs only these tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from backup_webhooks.aws import clients
from botocore.exceptions import ClientError

from local.template import Template
from tests.integration.conftest import Handler
from tests.support.access import Access
from tests.support.roles import Roles

KEY = {"pingKey": {"S": "k"}}
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/"
FROM = "arn:aws:ses:us-east-1:123456789012:identity/"


@pytest.fixture
def roles(template: Template) -> Roles:
    return Roles(template.whole)


def message(sender: str, content: str = "Simple") -> dict[str, Any]:
    return {"FromEmailAddress": f"Somebody <{sender}>", "Content": {content: {}}}


@pytest.mark.parametrize(
    ("function", "call", "said"),
    [
        (
            "ping",
            lambda: clients.dynamodb().get_item(TableName="PingKeysTable", Key=KEY),
            f"PingFunction is not allowed dynamodb:GetItem on {TABLE}PingKeysTable",
        ),
        (
            "ping",
            lambda: clients.sqs().send_message(QueueUrl="https://sqs.example/RetryQueue", MessageBody="{}"),
            "PingFunction is not allowed sqs:SendMessage on https://sqs.example/RetryQueue",
        ),
        (
            "missed_backups",
            lambda: clients.dynamodb().query(TableName="ServerPoliciesTable"),
            f"MissedBackupsFunction is not allowed dynamodb:Query on {TABLE}ServerPoliciesTable",
        ),
        (
            "daily_report",
            lambda: clients.dynamodb().query(TableName="WebhooksTable", IndexName="another"),
            f"DailyReportFunction is not allowed dynamodb:Query on {TABLE}WebhooksTable/index/another",
        ),
        (
            "notifier",
            lambda: clients.dynamodb().transact_write_items(
                TransactItems=[{"Delete": {"TableName": "DeliveriesTable", "Key": KEY}}]
            ),
            f"NotifierFunction is not allowed dynamodb:DeleteItem on {TABLE}DeliveriesTable",
        ),
        (
            "daily_report",
            lambda: clients.sesv2().send_email(**message("x@example.com")),
            f"DailyReportFunction is not allowed ses:SendEmail on {FROM}x@example.com with "
            "ses:FromAddress=x@example.com",
        ),
        (
            "email_notices",
            lambda: clients.sesv2().send_email(**message("backups@example.com", "Raw")),
            f"EmailNoticesFunction is not allowed ses:SendRawEmail on {FROM}backups@example.com with "
            "ses:FromAddress=backups@example.com",
        ),
        (
            "aws_backup",
            lambda: clients.backup().list_copy_jobs(),
            "AwsBackupFunction is not allowed backup:ListCopyJobs on *",
        ),
    ],
)
def test_a_call_that_the_role_does_not_allow_is_denied_and_reported(
    function: str, call: Callable[[], Any], said: str, handler_of: Callable[..., Handler], access: Access
) -> None:
    handler_of(function)

    with access.running(said.split(maxsplit=1)[0]), pytest.raises(ClientError, match="AccessDeniedException"):
        call()

    assert access.take_denied() == [said]


def test_each_function_has_a_role_of_its_own(roles: Roles) -> None:
    assert set(Counter(roles.of_functions().values()).values()) == {1}


def test_a_role_allows_what_aws_does_with_it(roles: Roles) -> None:
    lacking = [
        f"{role}: {ask}"
        for role, ask in roles.used_by_aws()
        if not any(right.covers(ask) for right in roles.rights(role))
    ]

    assert not lacking, "\n".join(lacking)
