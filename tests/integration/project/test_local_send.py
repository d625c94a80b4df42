"""`python -m local send`: the messages that it refuses, and its report of those that it sends."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_webhooks.events.messages import EventType, parse_message
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode

from local.__main__ import main
from local.clock import LocalClock
from local.functions import functions_running
from local.receiver import Receiver
from local.stack import Stack, published
from local.template import PROJECT, Template
from tests.integration.conftest import Account
from tests.support.messages import finished, missed, sqs_event

EVENTS = PROJECT / "events"
# A slow machine needs this long. No test waits for the end of it.
PATIENCE = ("--within", "120")


@pytest.fixture
def stack_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The file of a stack that runs beside the tests is not used.
    monkeypatch.setattr("local.stack.STACK_FILE", tmp_path / "stack.json")


@pytest.fixture
def running(stack_file: None, template: Template, stack: Stack, emptied: None) -> Iterator[None]:
    with functions_running(template, stack, LocalClock(), workers_a_queue=1, scheduled=False), published(stack):
        yield


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (str(EVENTS / "malformed.json"), "message 2 of 3: $: not JSON"),
        (str(EVENTS / "redelivery.json"), "`sam local invoke RedelivererFunction`"),
        (str(EVENTS / "account-report.json"), "`sam local invoke DailyReportFunction`"),
        (str(EVENTS / "email-notice.json"), "`sam local invoke EmailNoticesFunction`"),
        (str(EVENTS / "tick.json"), "`sam local invoke MissedBackupsFunction` or `DailyReportFunction`"),
        (str(EVENTS / "ping.json"), "`sam local invoke PingFunction`"),
        (str(EVENTS / "page.json"), "`sam local invoke WebhooksApiFunction`"),
        (str(EVENTS / "aws-backup-failed.json"), "`python -m local aws-backup`"),
        (str(EVENTS / "aws-backup-plans.json"), "`python -m local aws-backup`"),
        (str(EVENTS / "env.json"), "$: Object missing required field `type`"),
        (finished("TEST", backupFinishedDate="yesterday"), "$.backupFinishedDate: expected an ISO 8601 date"),
        ('{"type": "BackupForgotten"}', "$.type: "),
        ("[1]", "$: Expected `object`"),
        (json.dumps({"Records": [{"eventSource": "aws:s3"}]}), "records are not messages of BackupEventsQueue"),
    ],
)
def test_a_message_that_the_service_would_refuse_is_not_sent(
    source: str, reason: str, stack_file: None, capsys: pytest.CaptureFixture[str]
) -> None:
    # No stack is running, so sending would fail in another way.
    assert main(["send", source]) == 1

    error = capsys.readouterr().err
    assert reason in error
    assert error.endswith(". Nothing was sent.\n")


def test_each_outcome_is_reported(
    account: Account,
    receiver: Receiver,
    running: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = receiver.url.removeprefix("http://")
    receiver.on_post = lambda post: 503 if "down" in post.path else 200
    quiet = Preferences(changes_only=True)
    account.set_target(EventType.SUCCESS, f"{receiver.url}/secret")
    account.set_target(EventType.FAILURE, f"{receiver.url}/down", delivery=DeliveryMode.RETRY)
    account.set_target(EventType.FAILURE, f"{receiver.url}/down-once")
    account.set_target(EventType.PARTIAL_SUCCESS, f"{receiver.url}/quiet", preferences=quiet)
    account.set_target(EventType.PARTIAL_SUCCESS, f"{receiver.url}/group", preferences=Preferences(group=True))

    def said(body: str) -> list[str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(body))
        assert main(["send", "-", *PATIENCE]) == 0
        captured = capsys.readouterr()
        assert "secret" not in captured.out
        return captured.out.splitlines()

    success = finished(account.alias, restorePointCreationStatus="SUCCESS")
    first = said(success)
    assert first == [
        f"BackupFinished SUCCESS of {account.alias}, IL1TESTWEB01: recorded",
        f"  posted to {host}: 200",
    ]
    (again,) = said(success)[1:]
    assert again.startswith(f"  posted to {host} before, at ")

    exhausted, failed = sorted(said(finished(account.alias))[1:], key=len, reverse=True)
    assert exhausted == f"  not delivered to {host}: answered 503, in RetryDeadLetterQueue after 4 attempts"
    assert failed == f"  not delivered to {host}: answered 503, not retried"

    partial = {"restorePointCreationStatus": "PARTIAL_SUCCESS", "serverPolicyId": account.alias}
    said(finished(account.alias, **partial))
    later = {"backupStartedDate": "2018-12-20T02:00:00Z", "backupFinishedDate": "2018-12-20T02:39:38Z"}
    grouped, suppressed = sorted(said(finished(account.alias, **partial, **later))[1:])
    assert grouped.startswith(f"  grouped for {host}: ")
    assert suppressed.startswith(f"  suppressed for {host}: ")

    assert said(missed(account.alias))[1].startswith(f"  no target: {account.alias} has none for Backup.Missing")
    assert said(finished(account.alias, restorePointCreationStatus="CANCELLED"))[1:] == []
    assert said('{"type": "Heartbeat", "sentDate": "2018-12-20T18:05:00Z"}') == ["Heartbeat: recorded"]


def test_the_messages_of_a_lambda_event_are_sent(
    account: Account, running: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    event = sqs_event(finished(account.alias), missed(account.alias))
    for record in event["Records"]:
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:123456789012:BackupEventsQueue"
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    assert main(["send", str(file), *PATIENCE]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("This is a Lambda event for `sam local invoke NotifierFunction`; ")
    assert lines[0].endswith(": 1 BackupFinished, 1 BackupMissed")
    assert [line for line in lines[1:] if line.endswith(": recorded")] == [
        f"BackupFinished FAILED of {account.alias}, IL1TESTWEB01: recorded",
        f"BackupMissed of {account.alias}, IL1TESTWEB01: recorded",
    ]


def test_a_message_that_is_not_handled_is_reported(
    account: Account, stack: Stack, stack_file: None, emptied: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with published(stack):
        assert main(["send", finished(account.alias), "--within", "0"]) == 1

    assert ": not handled within 0 s: see " in capsys.readouterr().out


def test_a_message_that_the_function_fails_to_handle_is_reported_with_the_reason(
    account: Account,
    running: None,
    stack: Stack,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # `send` accepts it, but the function refuses it.
    monkeypatch.setattr("local.messages.check_all", lambda bodies: [parse_message(finished(account.alias))])

    assert main(["send", finished(account.alias, backupFinishedDate="yesterday"), *PATIENCE]) == 1

    assert "not handled: expected an ISO 8601 date" in capsys.readouterr().out
