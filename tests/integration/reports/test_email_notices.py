"""Tests of notices: e-mail at once about backups that failed or were missed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backup_webhooks.events.messages import parse_message
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore

from local.mailbox import Mailbox
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.messages import failed_ids, finished, missed
from tests.support.policies import at


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def email_notices(
    handler_at: Callable[..., Invoke], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Invoke]:
    handler = handler_at("email_notices")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", mailbox.url)
    return handler


@pytest.fixture
def settings(stack: Stack) -> ReportSettingsStore:
    return ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


@pytest.fixture
def backups(stack: Stack) -> BackupsStore:
    return BackupsStore(stack.client("dynamodb"), stack.outputs["BackupsTableName"])


def wants(name: str, **options: Any) -> Recipient:
    return Recipient(f"{name}@example.com", ReportFrequency.NONE, **options)


def keep(store: BackupsStore, *bodies: str) -> None:
    """Keep the backups, as the notifier does before it passes them on."""
    for body in bodies:
        store.keep(Backup.of(parse_message(body), at("12-21 00:00")))  # type: ignore[arg-type]


def test_each_recipient_gets_the_events_that_they_asked_for(
    account: Account, email_notices: Invoke, mailbox: Mailbox, settings: ReportSettingsStore, backups: BackupsStore
) -> None:
    settings.save(
        account.alias,
        ReportSettings(
            [wants("failures", on_failure=True), wants("misses", on_missing=True), wants("nothing")],
        ),
    )
    failed, gone = finished(account.alias, serverId="FAILEDSERVER"), missed(account.alias)
    keep(backups, failed, gone)

    assert failed_ids(email_notices(failed, gone)) == []

    assert {mail.to for mail in mailbox.mails} == {"failures@example.com", "misses@example.com"}
    (mail,) = mailbox.of("failures@example.com")
    assert "FAILEDSERVER" in mail.subject
    assert "FAILEDSERVER" in mail.text
    assert "FAILEDSERVER" in mail.html
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "missed" in mailbox.of("misses@example.com")[0].subject.lower()


def test_a_hundred_servers_that_fail_together_are_one_email(
    account: Account, email_notices: Invoke, mailbox: Mailbox, settings: ReportSettingsStore, backups: BackupsStore
) -> None:
    settings.save(account.alias, ReportSettings([wants("one", on_missing=True)]))
    bodies = [missed(account.alias, f"sp-{number}") for number in range(100)]
    keep(backups, *bodies)

    email_notices(*bodies)

    (mail,) = mailbox.mails
    assert "100" in mail.subject


def test_a_message_that_comes_again_sends_nothing_again(
    account: Account, email_notices: Invoke, mailbox: Mailbox, settings: ReportSettingsStore, backups: BackupsStore
) -> None:
    settings.save(account.alias, ReportSettings([wants("one", on_failure=True)]))
    body = finished(account.alias)
    keep(backups, body)

    for _ in range(3):
        assert failed_ids(email_notices(body, body)) == []

    assert len(mailbox.mails) == 1


def test_a_refused_recipient_harms_no_other_and_gets_it_when_the_message_comes_again(
    account: Account, email_notices: Invoke, mailbox: Mailbox, settings: ReportSettingsStore, backups: BackupsStore
) -> None:
    other = f"{account.alias}X"
    settings.save(account.alias, ReportSettings([wants("refused", on_failure=True), wants("one", on_failure=True)]))
    settings.save(other, ReportSettings([wants("other", on_failure=True)]))
    bodies = [finished(account.alias), finished(other)]
    keep(backups, *bodies)
    mailbox.refuse = lambda mail: mail.to == "refused@example.com"

    assert failed_ids(email_notices(*bodies)) == ["message-0"]
    mailbox.refuse = lambda mail: False
    assert failed_ids(email_notices(bodies[0])) == []

    assert sorted(mail.to for mail in mailbox.mails) == [
        "one@example.com",
        "other@example.com",
        "refused@example.com",
    ]


@pytest.mark.parametrize("body", ["{", '{"type": "Heartbeat", "sentDate": "2018-12-20T00:00:00Z"}'])
def test_a_message_that_cannot_be_used_fails_alone(
    body: str,
    account: Account,
    email_notices: Invoke,
    mailbox: Mailbox,
    settings: ReportSettingsStore,
    backups: BackupsStore,
) -> None:
    settings.save(account.alias, ReportSettings([wants("one", on_failure=True)]))
    good = finished(account.alias)
    keep(backups, good)

    assert failed_ids(email_notices(body, good)) == ["message-0"]

    assert len(mailbox.mails) == 1


def test_an_account_without_recipients_gets_no_email(account: Account, email_notices: Invoke, mailbox: Mailbox) -> None:
    assert failed_ids(email_notices(finished(account.alias))) == []
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("body", "passed_on"),
    [
        (finished, True),
        (missed, True),
        (lambda account: finished(account, restorePointCreationStatus="SUCCESS"), False),
        (lambda account: finished(account, restorePointCreationStatus="PARTIAL_SUCCESS"), False),
        (lambda account: finished(account, restorePointCreationStatus="CANCELLED"), False),
    ],
)
def test_the_notifier_passes_on_the_events_that_a_recipient_may_want_at_once(
    body: Callable[[str], str],
    passed_on: bool,
    account: Account,
    handler_at: Callable[..., Invoke],
    new_queue: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    stack: Stack,
) -> None:
    notifier = handler_at("notifier")
    queue = new_queue()
    monkeypatch.setenv("EMAIL_NOTICES_QUEUE_URL", queue)
    message = body(account.alias)

    assert failed_ids(notifier(message)) == []

    got = stack.client("sqs").receive_message(QueueUrl=queue).get("Messages", [])
    assert [parse_message(each["Body"]) for each in got] == [parse_message(message)] * passed_on


def test_without_a_sender_the_notifier_passes_nothing_on(
    account: Account, handler_at: Callable[..., Invoke], monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = handler_at("notifier")
    monkeypatch.setenv("EMAIL_NOTICES_QUEUE_URL", "")

    assert failed_ids(notifier(finished(account.alias, restorePointId=str(uuid.uuid4())))) == []
