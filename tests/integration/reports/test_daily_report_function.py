"""Tests of daily_report's handler: ticks of the schedule, and messages of its queue."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.aws.settings import InvalidSetting
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.schedule_store import ReportScheduleStore
from backup_webhooks.reports.settings_store import ReportSettingsStore

from local.mailbox import Mailbox
from local.stack import Stack
from tests.integration.conftest import Account, Handler, Invoke
from tests.support.messages import Context, failed_ids, sqs_event

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
Tick = Callable[[datetime], dict[str, int]]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def queue(new_queue: Callable[[], str]) -> str:
    return new_queue()


@pytest.fixture
def handler(handler_of: Callable[..., Handler], mailbox: Mailbox, queue: str) -> Handler:
    return handler_of("daily_report", AWS_ENDPOINT_URL_SESV2=mailbox.url, REPORTS_QUEUE_URL=queue)


@pytest.fixture
def daily_report(handler: Handler) -> Invoke:
    return lambda *bodies, **context: dict(handler(sqs_event(*bodies), Context(**context)))


@pytest.fixture
def tick(handler: Handler) -> Tick:
    return lambda at: dict(handler({"time": iso_milliseconds(at)}, Context(function_name="DailyReportFunction")))


@pytest.fixture
def due(account: Account, stack: Stack) -> Iterator[str]:
    """Yield the address of a recipient whose account's report is due since yesterday."""
    client, table = stack.client("dynamodb"), stack.outputs["WebhooksTableName"]
    address = f"{uuid.uuid4()}@example.com"
    settings = ReportSettingsStore(client, table, lambda: YESTERDAY)
    settings.save(account.alias, ReportSettings([Recipient(address)], hour=YESTERDAY.hour))
    yield address
    settings.save(account.alias, ReportSettings())


def enqueued(stack: Stack, queue: str, account: Account) -> list[str]:
    """Return the messages about the account; other tests' accounts may be due too."""
    found = []
    while got := stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in got if json.loads(message["Body"])["account"] == account.alias]
    return found


def test_a_tick_puts_what_is_due_on_the_queue_and_its_message_sends_it(
    account: Account, due: str, daily_report: Invoke, tick: Tick, stack: Stack, queue: str, mailbox: Mailbox
) -> None:
    now = datetime.now(UTC) + timedelta(hours=3)

    assert tick(now)["due"] >= 1
    (message,) = enqueued(stack, queue, account)
    assert json.loads(message) == {"account": account.alias, "at": iso_milliseconds(now)}
    assert failed_ids(daily_report(message, remaining_milliseconds=300_000)) == []

    (mail,) = mailbox.of(due)
    assert account.alias in mail.subject
    progress = ReportScheduleStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"]).load(account.alias)[1]
    assert progress.due_at is not None
    assert progress.due_at > now
    assert progress.under_way is None


def test_a_tick_that_comes_twice_puts_an_account_on_the_queue_once(
    account: Account, due: str, tick: Tick, stack: Stack, queue: str
) -> None:
    now = datetime.now(UTC) + timedelta(hours=3)

    tick(now)
    tick(now)

    assert len(enqueued(stack, queue, account)) == 1


def test_a_message_that_names_no_account_fails_alone(daily_report: Invoke) -> None:
    assert failed_ids(daily_report('{"account": ""}')) == ["message-0"]


@pytest.mark.parametrize("name", ["EMAIL_SENDER", "PAGE_URL", "BACKUPS_TABLE", "REPORTS_QUEUE_URL"])
def test_a_missing_setting_is_named(tick: Tick, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(InvalidSetting, match=name):
        tick(datetime.now(UTC))
