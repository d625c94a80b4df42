"""The records of backups: the notifier writes them, and reports find them by account and time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.history.backups_store import BackupsStore

from local.stack import Stack
from tests.integration.conftest import Account, Handler, Invoke
from tests.support.messages import Context, failed_ids, finished, missed, sqs_event
from tests.support.policies import at

DAY = timedelta(days=1)


@pytest.fixture
def store(stack: Stack) -> BackupsStore:
    return BackupsStore(stack.client("dynamodb"), stack.outputs["BackupsTableName"])


def kept(store: BackupsStore, account: Account, since: str = "12-20 00:00", until: str = "12-21 00:00") -> list[Backup]:
    return list(store.between(account.alias, at(since), at(until)))


@pytest.mark.parametrize("status", ["SUCCESS", "PARTIAL_SUCCESS", "FAILED", "CANCELLED"])
def test_each_backup_that_ends_is_kept_with_its_result(
    status: str, account: Account, notifier: Invoke, store: BackupsStore
) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    notifier(finished(account.alias, restorePointId="rp-1", restorePointCreationStatus=status))

    (backup,) = kept(store, account)
    assert backup == Backup(
        account=account.alias,
        server_id="IL1TESTWEB01",
        server_policy_id="b2b8ad1a-5d02-4f5b-9c3c-3d5f8d1f6a01",
        account_policy_id="5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
        account_policy_name="Nightly",
        storage_region="US WEST",
        result=BackupResult(status),
        occurred_at=at("12-20 01:39:38"),
        recorded_at=backup.recorded_at,
        started_at=at("12-20 01:00"),
        restore_point_id="rp-1",
    )
    assert before <= backup.recorded_at <= datetime.now(UTC)


def test_the_services_counts_of_files_and_bytes_are_kept_and_none_of_them_stops_a_message(
    account: Account, notifier: Invoke, store: BackupsStore
) -> None:
    counted = finished(
        account.alias,
        filesTransferredToStorage=3,
        unchangedBytesInStorage=1.81117417e08,
        bytesTransferredToStorage="many",
        filesRemovedFromDisk=-1,
        numberOfProtectedFiles=True,
        bytesFailedToTransfer=[{}],
        unchangedFilesNotTransferred=1e300,
    )

    assert failed_ids(notifier(counted)) == []

    (backup,) = kept(store, account)
    assert backup.counts == {"files_transferred_to_storage": 3, "unchanged_bytes_in_storage": 181_117_417}


def test_a_missed_backup_is_kept_at_the_time_at_which_it_should_have_started(
    account: Account, notifier: Invoke, store: BackupsStore
) -> None:
    notifier(missed(account.alias, "sp-1"))

    (backup,) = kept(store, account)
    assert (backup.result, backup.server_policy_id) == (BackupResult.MISSED, "sp-1")
    assert backup.occurred_at == at("12-20 05:00")
    assert backup.started_at is backup.restore_point_id is None


def test_a_message_that_comes_again_changes_nothing(account: Account, notifier: Invoke, store: BackupsStore) -> None:
    message = finished(account.alias)
    notifier(message)
    first = kept(store, account)

    assert failed_ids(notifier(message, message)) == []

    assert kept(store, account) == first


def test_backups_are_found_in_the_order_of_their_time_across_days(
    account: Account, notifier: Invoke, store: BackupsStore
) -> None:
    ends = ["2018-12-19T23:59:59.999Z", "2018-12-20T00:00:00Z", "2018-12-20T23:00:00Z", "2018-12-21T06:59:59.999Z"]
    notifier(*(finished(account.alias, backupFinishedDate=end) for end in reversed(ends)))

    found = kept(store, account, "12-19 07:00", "12-21 07:00")

    assert [backup.occurred_at for backup in found] == [datetime.fromisoformat(end) for end in ends]


def test_a_time_includes_its_beginning_and_not_its_end(account: Account, notifier: Invoke, store: BackupsStore) -> None:
    notifier(*(finished(account.alias, backupFinishedDate=f"2018-12-20T0{hour}:00:00Z") for hour in (6, 7)))

    assert len(kept(store, account, "12-20 06:00", "12-20 07:00")) == 1
    assert len(kept(store, account, "12-20 07:00", "12-21 07:00")) == 1
    assert len(kept(store, account, "12-20 06:00", "12-20 06:00")) == 0


def test_backups_of_other_accounts_are_not_found(account: Account, notifier: Invoke, store: BackupsStore) -> None:
    notifier(finished(f"{account.alias}#2018-12-20"), finished(f"{account.alias}X"))

    assert kept(store, account) == []


def test_the_longest_of_names_are_kept(account: Account, notifier: Invoke, store: BackupsStore) -> None:
    widest = "\N{WORLD MAP}" * 200
    response = notifier(finished(account.alias, restorePointId=widest, serverId=widest, serverPolicyId=widest))

    assert failed_ids(response) == []
    assert [backup.restore_point_id for backup in kept(store, account)] == [widest]


def test_a_backup_is_kept_for_the_days_of_the_setting(
    account: Account, handler_of: Callable[..., Handler], store: BackupsStore, stack: Stack
) -> None:
    notifier = handler_of("notifier", BACKUP_RETENTION_DAYS="90")

    notifier(sqs_event(finished(account.alias)), Context())

    (backup,) = kept(store, account)
    (item,) = stack.client("dynamodb").query(
        TableName=store.table,
        KeyConditionExpression="accountDay = :day",
        ExpressionAttributeValues={":day": {"S": f"{account.alias}#2018-12-20"}},
    )["Items"]
    assert int(item["expiresAt"]["N"]) == int((backup.recorded_at + 90 * DAY).timestamp())


def test_the_addresses_that_had_an_email_about_a_backup_are_recorded(
    account: Account, notifier: Invoke, store: BackupsStore
) -> None:
    notifier(finished(account.alias), missed(account.alias))
    failed, gone = kept(store, account)

    store.mark_emailed(failed, "one@example.com")
    store.mark_emailed(failed, "two@example.com")

    assert store.emailed([gone, failed]) == {gone: frozenset(), failed: {"one@example.com", "two@example.com"}}
    assert kept(store, account) == [failed, gone]
