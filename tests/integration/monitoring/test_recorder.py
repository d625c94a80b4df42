"""Two writers of one server policy, on the real table and a real queue."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.events.messages import BackupRecovered, parse_message
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local.stack import Stack
from tests.support.policies import at, changed, finished, record


class OvertakenStore(ServerPoliciesStore, frozen=True):
    """A store in which another writer comes after the first read."""

    others: list[Callable[[], object]]

    def load(self, account: str, server_policy_id: str) -> TrackedPolicy:
        loaded = ServerPoliciesStore.load(self, account, server_policy_id)
        while self.others:
            self.others.pop()()
        return loaded


@pytest.fixture
def store(stack: Stack) -> ServerPoliciesStore:
    return ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])


def test_a_policy_is_not_saved_over_another_revision(store: ServerPoliciesStore) -> None:
    policy = str(uuid.uuid4())
    record(store, changed("12-20 09:00", server_policy_id=policy))
    seen = store.load("TEST", policy)
    first = seen.after(finished("12-20 17:00", "12-20 17:30", server_policy_id=policy))
    second = seen.after(finished("12-20 17:10", "12-20 17:40", "FAILED", server_policy_id=policy))

    store.save(first)
    with pytest.raises(Conflict):
        store.save(second)

    assert store.load("TEST", policy).history == first.history


def test_a_recovery_is_sent_only_by_the_writer_whose_success_it_is(store: ServerPoliciesStore, stack: Stack) -> None:
    policy = str(uuid.uuid4())
    sqs = stack.client("sqs")
    url = sqs.create_queue(QueueName=f"recoveries-{policy}")["QueueUrl"]
    events = BackupEventsQueue(sqs, url)
    success = finished("12-20 17:00", "12-20 17:30", server_policy_id=policy)
    later_success = finished("12-21 17:00", "12-21 17:30", server_policy_id=policy)
    record(
        store,
        changed("12-19 09:00", server_policy_id=policy),
        finished("12-19 17:00", "12-19 17:30", "FAILED", server_policy_id=policy),
    )
    overtaken = OvertakenStore(store.client, store.table, [lambda: Recorder(store, events).record(success)])

    Recorder(overtaken, events).record(later_success)

    bodies = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    sqs.delete_queue(QueueUrl=url)
    recoveries = [parse_message(body["Body"]) for body in bodies]
    assert all(isinstance(recovery, BackupRecovered) for recovery in recoveries)
    assert [recovery.backup_finished_date for recovery in recoveries] == [at("12-20 17:30")]  # type: ignore[union-attr]
