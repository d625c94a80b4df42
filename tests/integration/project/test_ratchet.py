"""Numbers that must not grow unseen: AWS calls, what a tick reads, the modules that each function imports.

The calls are in tests/support/aws_calls.py, the other numbers here. If a number has grown, first look whether it must.
If one has shrunk, write the smaller one down, so that it cannot grow again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from backup_webhooks.deliveries.delivery import GroupDue, ReminderDue, encode_retry_message
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.target_partition import partition_of
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.monitoring.items import shard_of
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from local.stack import Stack
from local.template import PROJECT
from tests.integration.conftest import Account, Invoke
from tests.integration.monitoring import test_detector as test_missed_backups
from tests.integration.monitoring.test_detector import Tick
from tests.support import pings as ping_keys
from tests.support.api import Client
from tests.support.aws_calls import CALLS, AwsCalls
from tests.support.messages import finished, missed
from tests.support.pings import Script
from tests.support.policies import changed

SUCCESS, FAILURE, MISSING = EventType.SUCCESS, EventType.FAILURE, EventType.MISSING
# A tick on an empty table and an empty queue.
policies, tick = test_missed_backups.policies, test_missed_backups.tick

GROWN = "if it must be so, write the new number down in tests/support/aws_calls.py: the service costs more then"


@pytest.fixture
def made() -> AwsCalls:
    return AwsCalls()


@pytest.fixture
def small_world(
    handler_at: Callable[..., Invoke], new_queue: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Invoke]:
    """Makes handlers whose queues are the test's own. `email`: whether this installation sends e-mail."""
    events, retries, notices = (new_queue() for _ in range(3))

    def make(function: str, *, email: bool = True) -> Invoke:
        handler = handler_at(function)
        monkeypatch.setenv("BACKUP_EVENTS_QUEUE_URL", events)
        monkeypatch.setenv("RETRY_QUEUE_URL", retries)
        monkeypatch.setenv("EMAIL_NOTICES_QUEUE_URL", notices if email else "")
        return handler

    return make


def ended(account: Account, status: str, policy: str = "") -> str:
    """Return the end of a backup of a server policy that no other test has."""
    own = {"serverPolicyId": f"{account.alias}{policy}", "restorePointCreationStatus": status}
    return finished(account.alias, **own)


def success(account: Account, policy: str = "") -> str:
    return ended(account, "SUCCESS", policy)


def beyond_none(calls: Mapping[str, int]) -> dict[str, int]:
    return {action: number for action, number in calls.items() if number}


NOTIFICATIONS: dict[str, tuple[EventType | None, Callable[[Account], list[str]]]] = {
    "a success, without a target": (None, lambda account: [success(account)]),
    "a success with a log, without a target": (
        None,
        lambda account: [json.dumps(json.loads(success(account)) | {"log": "done"})],
    ),
    "a success, posted": (SUCCESS, lambda account: [success(account)]),
    "a failure, posted, where no e-mail is sent": (FAILURE, lambda account: [ended(account, "FAILED")]),
    "a failure, posted, where e-mail is sent": (FAILURE, lambda account: [ended(account, "FAILED")]),
    "a cancelled backup": (
        SUCCESS,
        lambda account: [ended(account, "CANCELLED")],
    ),
    "a start": (SUCCESS, lambda account: [start(account)]),
    "ten successes of one account, posted, in one batch": (
        SUCCESS,
        lambda account: [success(account, f"-{number}") for number in range(10)],
    ),
    "a miss, posted, where e-mail is sent": (MISSING, lambda account: [missed(account.alias, account.alias)]),
}


def start(account: Account) -> str:
    message = json.loads(finished(account.alias))
    kept = ("serverId", "accountPolicyId", "accountPolicyName", "storageRegion", "backupStartedDate", "accountAlias")
    return json.dumps(
        {"type": "BackupStarted", "serverPolicyId": account.alias} | {name: message[name] for name in kept}
    )


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_a_notification_calls_aws_no_more_than_it_did(
    name: str, account: Account, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    event, bodies = NOTIFICATIONS[name]
    if event:
        account.set_target(event, receiver.url)
    notifier = small_world("notifier", email="no e-mail" not in name)

    with made.counted():
        assert notifier(*bodies(account)) == {"batchItemFailures": []}

    assert len(receiver.posts) == name.count("posted") * len(bodies(account))
    assert made.actions == CALLS[name], GROWN


def test_a_second_target_costs_a_claim_and_an_attempt_result(
    account: Account, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    for path in ("one", "two"):
        account.set_target(SUCCESS, f"{receiver.url}/{path}")

    notifier = small_world("notifier")
    with made.counted():
        notifier(success(account))

    made.actions.subtract(CALLS["a success, posted"])
    assert beyond_none(made.actions) == CALLS["a second target of the same event"], GROWN


def after_a_failure(account: Account, status: str) -> list[str]:
    """Return a failed night, and the next one with that status."""
    night = {"backupStartedDate": "2018-12-21T01:00:00Z", "backupFinishedDate": "2018-12-21T01:39:38Z"}
    return [ended(account, "FAILED"), json.dumps(json.loads(ended(account, status)) | night)]


def test_a_recovery_is_a_message_and_a_notification_of_its_own(
    account: Account, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    account.set_target(SUCCESS, receiver.url)
    account.set_target(EventType.RECOVERED, receiver.url)
    failure, success_after = after_a_failure(account, "SUCCESS")
    small_world("notifier", email=False)(failure)

    notifier = small_world("notifier", email=False)
    with made.counted():
        notifier(success_after)
    assert made.actions == CALLS["a success that ends a failure, posted"], GROWN

    made.actions.clear()
    recovered = json.loads(success_after) | {"type": "BackupRecovered", "failed": 1, "missed": 0}
    notifier = small_world("notifier", email=False)
    with made.counted():
        notifier(json.dumps(recovered | {"failingSinceDate": "2018-12-20T01:39:38Z"}))
    assert made.actions == CALLS["a recovery, posted"], GROWN
    assert len(receiver.posts) == 2


def test_a_suppressed_delivery_costs_a_write(
    account: Account, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    account.set_target(FAILURE, receiver.url, preferences=Preferences(changes_only=True))
    first, second = after_a_failure(account, "FAILED")
    small_world("notifier", email=False)(first)

    notifier = small_world("notifier", email=False)
    with made.counted():
        notifier(second)

    assert made.actions == CALLS["a failure that is suppressed, where no e-mail is sent"], GROWN
    assert len(receiver.posts) == 1


def test_a_grouped_delivery_costs_a_transaction_and_a_read(
    account: Account, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    target = account.set_target(MISSING, receiver.url, preferences=Preferences(group=True))
    for number, name in enumerate(
        (
            "the first miss of a group, where no e-mail is sent",
            "a miss that is grouped with others, where no e-mail is sent",
        )
    ):
        notifier = small_world("notifier", email=False)
        made.actions.clear()
        with made.counted():
            notifier(missed(account.alias, f"sp-{number}"))
        assert made.actions == CALLS[name], GROWN
    small_world("notifier", email=False)(*(missed(account.alias, f"sp-{number}") for number in range(2, 10)))

    wake_up = GroupDue(
        account=account.alias, event_type=MISSING, target_id=target.target_id, due_at=Timestamp.of(utc_now())
    )
    redeliverer = small_world("redeliverer")
    made.actions.clear()
    with made.counted():
        redeliverer(encode_retry_message(wake_up))
    assert made.actions == CALLS["ten misses that are sent as a group"], GROWN


def test_a_reminder_calls_aws_no_more_than_it_did(
    account: Account, stack: Stack, receiver: Receiver, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    target = account.set_target(FAILURE, receiver.url, preferences=Preferences(changes_only=True, remind_hours=1))
    notifier = small_world("notifier", email=False)
    with made.counted():
        notifier(ended(account, "FAILED"))
    assert made.actions == CALLS["a failure that is posted and has a reminder"], GROWN

    # The reminder is due now, as its message would be invisible for an hour.
    due_at = Timestamp.of(utc_now())
    reminders = RemindersStore(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"])
    for name, at in (("a reminder", due_at), ("a reminder that waits", Timestamp.of(due_at + timedelta(hours=1)))):
        message = ReminderDue(
            account=account.alias,
            event_type=FAILURE,
            target_id=target.target_id,
            server_policy_id=account.alias,
            due_at=at,
        )
        reminders.plan(partition_of(message), account.alias, at, at + timedelta(days=1))
        redeliverer = small_world("redeliverer")
        made.actions.clear()
        with made.counted():
            redeliverer(encode_retry_message(message))
        assert made.actions == CALLS[name], GROWN


@pytest.mark.parametrize(
    ("name", "status"), [("a retry that arrives", 200), ("a retry that fails and is repeated", 503)]
)
def test_a_retry_calls_aws_no_more_than_it_did(
    name: str, status: int, account: Account, stack: Stack, small_world: Callable[..., Invoke], made: AwsCalls
) -> None:
    statuses = [503, status]
    with Receiver(lambda post: statuses.pop(0)) as receiver:
        account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
        small_world("notifier")(finished(account.alias))
        redeliverer = small_world("redeliverer")
        (message,) = stack.client("sqs").receive_message(QueueUrl=os.environ["RETRY_QUEUE_URL"], WaitTimeSeconds=10)[
            "Messages"
        ]
        order = json.loads(message["Body"]) | {"dueAt": "2018-12-20T01:39:43.000Z"}

        with made.counted():
            assert redeliverer(json.dumps(order)) == {"batchItemFailures": []}

    assert not statuses
    assert made.actions == CALLS[name], GROWN


def test_a_tick_with_nothing_due_reads_no_policy(
    stack: Stack,
    policies: ServerPoliciesStore,
    tick: Tick,
    made: AwsCalls,
) -> None:
    with made.counted():
        assert tick() == {"due": 0, "sent": 0}

    assert made.actions == CALLS["a tick with nothing due"], GROWN
    assert made.items_read == 0
    # At most: a query that finds nothing is charged with half a unit.
    assert made.capacity["Query"] + made.capacity["GetItem"] <= 17, "a tick reads more, each minute of the year"


def test_misses_call_aws_no_more_than_they_did(
    policies: ServerPoliciesStore,
    tick: Tick,
    made: AwsCalls,
) -> None:
    ids = [policy_id for number in range(1000) if shard_of(policy_id := f"policy-{number}") == 0][:10]
    for policy_id in ids:
        policies.save(TrackedPolicy("TEST", policy_id).after(changed("12-20 09:00", server_policy_id=policy_id)))

    with made.counted():
        assert tick() == {"due": 10, "sent": 10}

    made.actions.subtract(CALLS["a tick with nothing due"])
    assert beyond_none(made.actions) == CALLS["ten misses of one shard in a tick, beyond one with nothing due"], GROWN


def test_a_heartbeat_is_one_write(notifier: Invoke, made: AwsCalls) -> None:
    with made.counted():
        notifier(json.dumps({"type": "Heartbeat", "sentDate": "2018-12-20T18:13:00.000Z"}))

    assert made.actions == CALLS["a heartbeat that is read"], GROWN


def test_a_ping_calls_aws_no_more_than_it_did(
    account: Account, client: Client, script_at: Callable[..., Script], made: AwsCalls
) -> None:
    url = ping_keys.made(client, account.alias)["url"]
    script = script_at()
    with made.counted():
        assert script.ping(url, "/start", on="12-20 01:00").status == 200
    assert made.actions == CALLS["a ping"], GROWN
    for minute in range(1, 10):
        script.ping(url, on=f"12-20 01:0{minute}")

    made.actions.clear()
    with made.counted():
        assert script.ping(url, on="12-20 01:10").status == 200
    assert made.actions == CALLS["a ping that finds ten remembered"], GROWN


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("the page's webhooks", [""]),
        ("the page's deliveries, of an account that had none of late", ["/deliveries"]),
        ("the page's servers and their chart", ["/serverPolicies", "/dailyResults"]),
    ],
)
def test_a_view_of_the_page_calls_aws_no_more_than_it_did(
    name: str,
    paths: list[str],
    account: Account,
    receiver: Receiver,
    notifier: Invoke,
    client_of: Callable[..., Client],
    made: AwsCalls,
) -> None:
    account.set_target(SUCCESS, receiver.url)
    notifier(success(account))
    client = client_of(account.alias)

    with made.counted():
        assert [client.get(f"/v2/webhooks/{account.alias}{path}").status for path in paths] == [200] * len(paths)

    assert made.actions == CALLS[name], GROWN


# All modules that a function's import brings along, Python's own and those of the layers. A room's `__init__` is one.
MODULES = {
    "notifier": 494,
    "redeliverer": 476,
    "missed_backups": 452,
    "webhooks_api": 685,
    "daily_report": 496,
    "email_notices": 463,
    "ping": 432,
}
RENDERING = {
    "backup_webhooks.api",
    "email.mime",
    *(
        f"backup_webhooks.reports.{name}"
        for name in ("html", "components", "mailer", "aggregate", "phrases", "csv_attachment", "text")
    ),
}


@pytest.mark.parametrize("function", MODULES)
def test_a_function_imports_no_more_than_it_did(function: str) -> None:
    imported = modules_of(function)

    assert len(imported) <= MODULES[function], (
        f"{function} imports {len(imported)} modules instead of at most {MODULES[function]}: cold starts take longer. "
        "`python -X importtime` shows the slow ones; import late what few invocations need"
    )
    assert ("pydantic" in imported) == (function == "webhooks_api"), "pydantic costs more than all of boto3's import"
    formats = {name for name in imported if name.startswith("backup_webhooks.payloads.")} - {
        "backup_webhooks.payloads.sanitize"
    }
    assert not formats, "a format is imported once it is used: most functions meet one or two of them"
    if function in ("notifier", "redeliverer", "missed_backups", "ping"):
        assert not imported & RENDERING, "it sends no e-mail, and shows no page"


def modules_of(function: str) -> set[str]:
    """Return the modules that the import of the function's app imports, in an interpreter of its own."""
    script = "import sys; before = set(sys.modules); import app; print(*sorted(set(sys.modules) - before))"
    path = os.pathsep.join(map(str, [PROJECT / "functions" / function, PROJECT / "layers" / "shared"]))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(answer.stdout.split())
