"""The notifier's handler: its messages, posts and delivery records."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks import __version__
from backup_webhooks.events.messages import EventType
from backup_webhooks.posting import sender
from backup_webhooks.targets.event_filter import EventFilter
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from local import messages as examples
from local.receiver import Post, Receiver
from tests.integration.conftest import Account, Invoke
from tests.support.fault_proxy import FaultProxy
from tests.support.messages import failed_ids, finished

FAILURE = EventType.FAILURE
# A test fails after that.
PATIENCE_SECONDS = 120


@pytest.fixture
def refusing_url() -> str:
    """A URL that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/refuses"


def texts(receiver: Receiver) -> list[str]:
    return [json.loads(post.body)["text"] for post in receiver.posts]


@pytest.mark.parametrize("name", examples.SAMPLES)
def test_each_example_is_posted_to_the_target_of_its_event(
    name: str, account: Account, notifier: Invoke, receiver: Receiver
) -> None:
    for event in EventType:
        account.set_target(event, f"{receiver.url}/{event}")
    (body,) = examples.read(str(examples.EVENTS / f"{name}.json"))
    message = json.loads(body) | {"accountAlias": account.alias}

    assert failed_ids(notifier(json.dumps(message))) == []

    expected = {
        "backup-failed": "/Backup.Failure",
        "backup-partial-success": "/Backup.PartialSuccess",
        "backup-missed": "/Backup.Missing",
        "backup-success": "/Backup.Success",
    }
    assert [post.path for post in receiver.posts] == [expected[name]]


def test_a_target_of_many_events_gets_each_of_them_under_one_secret(
    account: Account, notifier: Invoke, receiver: Receiver
) -> None:
    target = account.set_target(FAILURE, receiver.url)
    account.targets.change(account.alias, lambda _: [replace(target, event_types=[FAILURE, EventType.SUCCESS])])

    statuses = ("FAILED", "SUCCESS", "PARTIAL_SUCCESS")
    notifier(*(finished(account.alias, restorePointCreationStatus=status) for status in statuses))

    assert sorted(text.split("  -  ")[0] for text in texts(receiver)) == ["Status: FAILED", "Status: SUCCESS"]
    (secret,) = target.secrets
    for post in receiver.posts:
        Webhook(secret.value).verify(post.body.decode(), dict(post.headers))


def test_a_filter_lets_only_its_servers_through(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, filter=EventFilter(servers=("db-*",)))

    notifier(*(finished(account.alias, serverId=server, restorePointId=server) for server in ("DB-1", "web-1")))

    (text,) = texts(receiver)
    assert "Server: DB-1" in text
    assert len(account.deliveries()) == 1


def test_a_post_carries_the_payload_and_the_headers_of_standard_webhooks(
    account: Account, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url)
    before = int(datetime.now(UTC).timestamp())

    notifier(finished(account.alias, restorePointId="rp-1"))

    (post,) = receiver.posts
    assert json.loads(post.body) == {
        "text": f"Status: FAILED  -  Account: {account.alias}  -  Server: IL1TESTWEB01  -  "
        "Account Policy Name: Nightly  -  Restore Point Id: rp-1  -  Finished Date/Time: 2018-12-20 01:39:38 UTC"
    }
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"] == f"SimpleBackupWebhooks/{__version__}"
    assert post.headers["webhook-id"].startswith("msg_")
    assert before <= int(post.headers["webhook-timestamp"]) <= before + 60


def test_a_cloud_event_is_posted_under_its_content_type_and_read_by_its_own_sdk(
    account: Account, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url, format="cloudevents")

    notifier(finished(account.alias, restorePointId="rp-1"))

    (post,) = receiver.posts
    assert post.headers["content-type"] == "application/cloudevents+json"
    event = from_http(HTTPMessage(dict(post.headers), post.body), JSONFormat())
    assert (event.get_type(), event.get_subject()) == ("io.ctl.simplebackup.Backup.Failure", "IL1TESTWEB01")
    (entry,) = account.deliveries()
    assert entry["format"] == "cloudevents"


def test_a_delivery_is_logged_with_its_outcome(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    target = account.set_target(FAILURE, receiver.url)
    before = datetime.now(UTC)

    notifier(finished(account.alias, restorePointId="rp-1"))

    (entry,) = account.deliveries()
    (post,) = receiver.posts
    assert entry["delivery"] == f"2018-12-20T01:39:38.000Z#Backup.Failure#rp-1#{target.target_id}.847a41dd"
    assert entry["state"] == "delivered"
    assert entry["attempts"] == 1
    assert entry["httpStatus"] == 200
    assert entry["milliseconds"] >= 0
    assert entry["error"] is None
    assert entry["response"] == "ok"
    assert entry["body"].encode() == post.body
    assert entry["webhookId"] == post.headers["webhook-id"]
    assert (before + timedelta(days=30)).timestamp() - 1 <= entry["expiresAt"]
    assert entry["expiresAt"] <= (before + timedelta(days=30, minutes=5)).timestamp()


def test_cancelled_and_started_backups_post_nothing(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    for event in EventType:
        account.set_target(event, receiver.url)
    started = json.loads(finished(account.alias)) | {"type": "BackupStarted"}

    response = notifier(finished(account.alias, restorePointCreationStatus="CANCELLED"), json.dumps(started))

    assert failed_ids(response) == []
    assert receiver.posts == []
    assert account.deliveries() == []


def test_an_event_without_a_webhook_is_done(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    account.set_target(EventType.SUCCESS, receiver.url)

    assert failed_ids(notifier(finished(account.alias))) == []

    assert receiver.posts == []


def test_a_target_that_is_switched_off_gets_nothing(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, enabled=False)

    assert failed_ids(notifier(finished(account.alias))) == []

    assert receiver.posts == []


def test_all_targets_of_an_event_are_attempted_though_one_refuses(
    account: Account, notifier: Invoke, receiver: Receiver, refusing_url: str
) -> None:
    account.set_target(FAILURE, refusing_url)
    account.set_target(FAILURE, f"{receiver.url}/a", format="detailed")
    account.set_target(FAILURE, f"{receiver.url}/b")

    assert failed_ids(notifier(finished(account.alias))) == []

    assert sorted(post.path for post in receiver.posts) == ["/a", "/b"]
    assert sorted(entry["state"] for entry in account.deliveries()) == ["delivered", "delivered", "failed"]


def test_a_failed_attempt_is_recorded_and_not_repeated(account: Account, notifier: Invoke, refusing_url: str) -> None:
    account.set_target(FAILURE, refusing_url)
    body = finished(account.alias)

    assert [failed_ids(notifier(body)) for _ in range(2)] == [[], []]

    (entry,) = account.deliveries()
    assert (entry["state"], entry["attempts"], entry["error"]) == ("failed", 1, "connection refused")


def test_a_bad_message_a_refusing_and_a_hanging_endpoint_harm_none_of_the_other_97(
    account: Account, notifier: Invoke, receiver: Receiver, refusing_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sender's own tests prove its deadline. Here only the other posts free the endpoint that hangs.
    monkeypatch.setattr(sender, "EXCHANGE_SECONDS", 2 * PATIENCE_SECONDS)
    others, all_arrived = itertools.count(1), threading.Event()

    def answer(post: Post) -> None:
        if post.path == "/hangs":
            all_arrived.wait(PATIENCE_SECONDS)
        elif next(others) == 97:
            all_arrived.set()

    receiver.on_post = answer
    account.set_target(FAILURE, receiver.url)
    account.set_target(EventType.PARTIAL_SUCCESS, refusing_url)
    account.set_target(EventType.SUCCESS, f"{receiver.url}/hangs")
    bodies = [finished(account.alias) for _ in range(97)]
    bodies.insert(3, finished(account.alias, restorePointCreationStatus="SUCCESS"))
    bodies.insert(40, '{"type": "BackupFinished", "accountAlias": ')
    bodies.insert(70, finished(account.alias, restorePointCreationStatus="PARTIAL_SUCCESS"))

    response = notifier(*bodies)

    assert all_arrived.is_set()
    assert failed_ids(response) == ["message-40"]
    assert len(receiver.posts) == 98
    (failure,) = (entry for entry in account.deliveries() if entry["state"] == "failed")
    assert (failure["event"], failure["error"]) == ("Backup.PartialSuccess", "connection refused")


def test_the_same_message_five_times_two_at_once_is_one_post(account: Account, notifier: Invoke) -> None:
    with ThreadPoolExecutor() as threads:
        second = []

        def deliver_again(_: Post) -> None:
            # While the first POST is in flight, its claim is held, so the message must come again.
            second.append(threads.submit(notifier, body).result())

        with Receiver(on_post=deliver_again) as receiver:
            account.set_target(FAILURE, receiver.url)
            body = finished(account.alias)
            first = notifier(body)
            later = [notifier(body) for _ in range(3)]

    assert failed_ids(first) == []
    assert [failed_ids(response) for response in second] == [["message-0"]]
    assert [failed_ids(response) for response in later] == [[], [], []]
    assert len(receiver.posts) == 1


def test_with_too_little_time_left_nothing_is_begun(account: Account, notifier: Invoke, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)
    body = finished(account.alias)

    assert failed_ids(notifier(body, remaining_milliseconds=15_000)) == ["message-0"]
    assert receiver.posts == []
    assert account.deliveries() == []

    assert failed_ids(notifier(body)) == []
    assert len(receiver.posts) == 1


def test_an_accounts_targets_are_read_once_a_batch(
    account: Account, notifier_at: Callable[[str], Invoke], dynamodb_proxy: FaultProxy, receiver: Receiver
) -> None:
    account.set_target(FAILURE, receiver.url)

    notifier_at(dynamodb_proxy.url)(*[finished(account.alias) for _ in range(10)])

    calls = Counter(call.operation for call in dynamodb_proxy.calls if not call.repeated)
    assert calls["Query"] == 1
    assert calls["UpdateItem"] == 2 * 10


def test_a_failure_is_posted_whatever_its_optional_facts_are(
    account: Account, notifier: Invoke, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", include_output=True)
    hostile = f'"log": "tar: exit \\ud83d", "bytesFailedToTransfer": 1e400, "filesRemovedFromDisk": {"9" * 5000}'

    assert failed_ids(notifier(f"{finished(account.alias)[:-1]}, {hostile}}}")) == []

    (post,) = receiver.posts
    assert json.loads(post.body)["log"] == "tar: exit ?"
    assert '"UnusableFacts":[2.0]' in capsys.readouterr().out
