"""Backup output is stored by server policy, beside the backups, so that reports do not read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import BackupFinished, parse_message
from backup_webhooks.history.backup_output_store import RETENTION, BackupOutputStore
from backup_webhooks.history.backups_store import BackupsStore

from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.messages import finished

NOW = datetime(2018, 12, 20, 2, tzinfo=UTC)


@pytest.fixture
def store(stack: Stack) -> BackupOutputStore:
    return BackupOutputStore(stack.client("dynamodb"), stack.outputs["BackupsTableName"])


def ended(account: str, **changes: Any) -> BackupFinished:
    message = parse_message(finished(account, **changes))
    assert isinstance(message, BackupFinished)
    return message


def test_the_notifier_stores_backup_output_and_reports_do_not_read_it(
    account: Account, stack: Stack, store: BackupOutputStore, notifier: Invoke
) -> None:
    message = finished(account.alias, serverPolicyId="sp", log="x" * 10_000 + " the error")
    for body in (message, message, finished(account.alias, serverPolicyId="sp"), finished(account.alias, log="other")):
        assert notifier(body) == {"batchItemFailures": []}

    (backup,) = store.latest(account.alias, "sp", 10)
    assert backup.output.endswith("x the error")
    assert len(backup.output.encode()) == 4096
    assert (backup.status, backup.started_at, backup.finished_at) == (
        "FAILED",
        datetime(2018, 12, 20, 1, tzinfo=UTC),
        datetime(2018, 12, 20, 1, 39, 38, tzinfo=UTC),
    )
    read = stack.client("dynamodb").query(
        TableName=stack.outputs["BackupsTableName"],
        KeyConditionExpression="accountDay = :day",
        ExpressionAttributeValues={":day": {"S": f"{account.alias}#2018-12-20"}},
    )["Items"]
    assert (
        len(read)
        == len(
            list(
                BackupsStore(stack.client("dynamodb"), stack.outputs["BackupsTableName"]).between(
                    account.alias, NOW - timedelta(days=1), NOW
                )
            )
        )
        == 3
    )
    assert all("log" not in item for item in read)


def test_the_latest_come_first_as_many_as_are_asked_for(account: Account, store: BackupOutputStore) -> None:
    for hour in (3, 1, 2):
        date = f"2018-12-20T0{hour}:00:00Z"
        store.keep(ended(account.alias, serverPolicyId="sp", backupFinishedDate=date, log=f"{hour}"), NOW)

    assert [str(backup.output) for backup in store.latest(account.alias, "sp", 2)] == ["3", "2"]


def test_names_with_separators_do_not_mix_accounts_up(account: Account, store: BackupOutputStore) -> None:
    store.keep(ended(account.alias, serverPolicyId="b#c", restorePointId="r#1", log="mine"), NOW)

    (backup,) = store.latest(account.alias, "b#c", 10)
    assert (backup.restore_point_id, backup.output) == ("r#1", "mine")
    assert store.latest(f"{account.alias}#b", "c", 10) == []
    assert store.latest(account.alias, "b", 10) == []


def test_it_is_forgotten_after_a_month(account: Account, stack: Stack, store: BackupOutputStore) -> None:
    store.keep(ended(account.alias, serverPolicyId="sp", log="s3cret"), NOW)

    (item,) = stack.client("dynamodb").query(
        TableName=stack.outputs["BackupsTableName"],
        KeyConditionExpression="accountDay = :partition",
        ExpressionAttributeValues={":partition": {"S": f"output\0{account.alias}\0sp"}},
    )["Items"]
    assert RETENTION.days == 30
    assert item["expiresAt"] == {"N": str(int((NOW + RETENTION).timestamp()))}
