"""The notifier as Lambda runs it: the poller, the function in its own process, the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType

from local import messages
from local.poller import Poller
from local.receiver import Receiver
from local.stack import Stack
from local.template import QueueSource, Template
from local.worker import Worker
from tests.integration.conftest import Account
from tests.support.messages import finished, sqs_event

MALFORMED = {
    "not JSON": ('{"type": "BackupFinished", ', "$"),
    "an array": ("[1, 2]", "$"),
    "unknown type": ('{"type": "BackupForgotten"}', "$.type"),
    "date without zone": (finished("TEST", backupFinishedDate="2018-12-20 01:39:38"), "$.backupFinishedDate"),
    "year 99999": (finished("TEST", backupFinishedDate="99999-01-01T00:00:00Z"), "$.backupFinishedDate"),
    "NUL": (finished("TEST", serverId="a\0b"), "$.serverId"),
    "300 KiB": (finished("TEST", accountPolicyName="x" * 300 * 1024), "$.accountPolicyName"),
    "wrong type": (finished("TEST", restorePointId=7), "$.restorePointId"),
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "NotifierFunction.log"


@pytest.fixture
def worker(stack: Stack, template: Template, log: Path) -> Iterator[Worker]:
    name = "NotifierFunction"
    worker = Worker(stack.functions()[name], template.sources[name], stack, log)
    yield worker
    worker.close()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def metrics(log: Path) -> list[dict[str, Any]]:
    return [line for line in lines(log) if "_aws" in line]


def test_a_bad_message_ends_whole_in_the_dead_letter_queue_and_the_good_one_is_posted(
    account: Account, stack: Stack, worker: Worker, receiver: Receiver
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    sqs = stack.client("sqs")
    queue = stack.outputs["BackupEventsQueueUrl"]
    bad = '{"type": "BackupFinished", "accountAlias": "é'
    # A message that fails is visible again at once, without the template's six minutes.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    messages.send(stack, bad)
    messages.send(stack, finished(account.alias))
    poller = Poller(stack, queue, QueueSource("", "", 10, timedelta(0)), worker)

    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    for _ in range(int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]) + 1):
        poller.poll_once()
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "180"})

    dead = sqs.get_queue_url(QueueName="BackupEventsDeadLetterQueue")["QueueUrl"]
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=dead)["Messages"]] == [bad]
    assert len(receiver.posts) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_each_bad_message_has_a_line_that_names_its_field_and_its_id(
    account: Account, worker: Worker, log: Path, receiver: Receiver
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    bodies = [body for body, _ in MALFORMED.values()]

    response = worker.invoke(sqs_event(*bodies, finished(account.alias, accountPolicyName="☃ 😀")))

    assert len(response["batchItemFailures"]) == len(bodies)
    rejected = {line["message_id"]: line for line in lines(log) if line.get("message") == "message rejected"}
    fields = {f"message-{position}": field for position, (_, field) in enumerate(MALFORMED.values())}
    assert {message_id: line["field"] for message_id, line in rejected.items()} == fields
    assert all(len(json.dumps(line)) < 2000 for line in rejected.values())
    (post,) = receiver.posts
    assert "Account Policy Name: ☃ 😀  -  " in json.loads(post.body)["text"]


def test_the_metrics_count_what_happened(account: Account, worker: Worker, log: Path, receiver: Receiver) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    account.set_target(EventType.SUCCESS, "http://127.0.0.1:1/refuses")

    worker.invoke(
        sqs_event(
            finished(account.alias),
            finished(account.alias, restorePointCreationStatus="SUCCESS"),
            finished(account.alias, restorePointCreationStatus="PARTIAL_SUCCESS"),
            "not a message",
        )
    )

    (counted,) = metrics(log)
    assert counted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "SimpleBackupWebhooks"
    assert {name: counted[name] for name in ("Posted", "Failed", "WithoutTarget", "Rejected")} == {
        "Posted": [1.0],
        "Failed": [1.0],
        "WithoutTarget": [1.0],
        "Rejected": [1.0],
    }
    assert len(counted["PostMilliseconds"]) == 2


def test_no_log_line_carries_a_targets_url(account: Account, worker: Worker, log: Path, receiver: Receiver) -> None:
    """For Slack and similar destinations the URL is the secret."""
    account.set_target(EventType.FAILURE, f"{receiver.url}/services/T0/B0/s3cret")
    account.set_target(EventType.SUCCESS, "http://127.0.0.1:1/services/s3cret")

    worker.invoke(sqs_event(finished(account.alias), finished(account.alias, restorePointCreationStatus="SUCCESS")))

    assert len(receiver.posts) == 1
    assert "s3cret" not in log.read_text()
