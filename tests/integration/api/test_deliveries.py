"""The delivery log in the API: filters, pages and replays."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.aws.paging import to_cursor
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.target import Target

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.fault_proxy import FaultProxy
from tests.support.messages import finished

NOW = datetime.now(UTC).replace(microsecond=0)
STATUS_OF = {EventType.FAILURE: "FAILED", EventType.SUCCESS: "SUCCESS"}


def ago(**age: float) -> str:
    return (NOW - timedelta(**age)).isoformat()


@pytest.fixture
def add(account: Account, stack: Stack) -> Callable[..., None]:
    """Returns a function that records an attempt for a backup that ended at a given time."""
    store = DeliveriesStore(
        stack.client("dynamodb"), stack.outputs["DeliveriesTableName"], retention=timedelta(days=30)
    )

    def make(event: EventType, occurred_at: str, subject_id: str, target_id: str = "0" * 16) -> None:
        target = Target(account.alias, [event], f"https://hooks.example/{event}", target_id)
        text = f"Status: {STATUS_OF[event]}  -  Restore Point Id: {subject_id}"
        delivery = Delivery(
            account=account.alias,
            event_type=event,
            target_id=target.target_id,
            occurred_at=Timestamp.parse(occurred_at),
            subject_id=subject_id,
            body=json.dumps({"text": text}),
        )
        claim = store.claim(AttemptDue.first(delivery, NOW), target, now=NOW, until=NOW + timedelta(seconds=30))
        assert isinstance(claim, Claim)
        if event is EventType.SUCCESS:
            store.record(claim, AttemptResult(200, None, b"ok", 12), DeliveryState.DELIVERED, None)
        else:
            store.record(claim, AttemptResult(None, "connection refused", b"", 3), DeliveryState.FAILED, None)

    return make


@pytest.fixture
def log(add: Callable[..., None], client: Client) -> Client:
    """Ten deliveries over five days: failed ones of failures, delivered ones of successes."""
    for day in range(5):
        for event, status in STATUS_OF.items():
            add(event, ago(days=day, minutes=5), f"{status}-{day}")
    return client


def points(items: list[dict[str, Any]]) -> list[str]:
    return [item["subjectId"] for item in items]


def test_the_latest_come_first_with_all_that_is_known(account: Account, log: Client) -> None:
    answer = log.get(of_account(account.alias, "deliveries"))

    items = answer.json["items"]
    assert len(items) == 10
    assert [item["occurredAt"] for item in items] == sorted((item["occurredAt"] for item in items), reverse=True)
    newest = {item["event"]: item for item in items[:2]}
    failed, delivered = newest["Backup.Failure"], newest["Backup.Success"]
    assert (failed["state"], failed["status"], failed["reason"]) == ("failed", None, "connection refused")
    assert failed["targetUri"] == "https://hooks.example/Backup.Failure"
    assert (delivered["state"], delivered["status"], delivered["response"]) == ("delivered", 200, "ok")
    assert "Restore Point Id: SUCCESS-0" in delivered["body"]
    assert delivered["attempts"] == 1
    assert delivered["webhookId"].startswith("msg_")
    assert answer.json["next"] is None
    one = log.get(of_account(account.alias, "deliveries", failed["deliveryId"]))
    assert one.json == failed


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
@pytest.mark.parametrize("filters", [{}, {"event": "Backup.Failure"}, {"state": "delivered"}])
def test_pages_hold_each_delivery_once_in_order(
    account: Account, log: Client, limit: int, filters: dict[str, str]
) -> None:
    path = of_account(account.alias, "deliveries")
    everything = points(log.get(path, limit=100, **filters).json["items"])
    assert len(everything) == (5 if filters else 10)

    found, query = [], dict(filters)
    for _ in range(12):
        page = log.get(path, limit=limit, **query).json
        assert len(page["items"]) <= limit
        found += points(page["items"])
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert found == everything


def test_a_list_that_ends_with_its_page_has_no_next(account: Account, log: Client) -> None:
    assert log.get(of_account(account.alias, "deliveries"), limit=10).json["next"] is None


def test_they_are_filtered_by_event_state_and_time(account: Account, log: Client) -> None:
    def found(**query: str) -> set[str]:
        return set(points(log.get(of_account(account.alias, "deliveries"), **query).json["items"]))

    assert found(event="Backup.Success") == {f"SUCCESS-{day}" for day in range(5)}
    assert found(state="failed") == {f"FAILED-{day}" for day in range(5)}
    assert found(state="failed", event="Backup.Success") == set()
    assert found(since=ago(days=2), event="Backup.Failure") == {"FAILED-0", "FAILED-1"}
    assert found(until=ago(days=3), event="Backup.Failure") == {"FAILED-3", "FAILED-4"}
    assert found(since=ago(days=1, minutes=5), until=ago(days=1, minutes=5)) == {"SUCCESS-1", "FAILED-1"}
    assert found(since=ago(days=1), until=ago(days=2)) == set()


def test_a_filter_that_finds_nothing_in_a_long_log_ends_in_time_and_can_continue(
    account: Account, add: Callable[..., None], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_webhooks.deliveries.delivery_log._MOST_EXAMINED", 20)
    monkeypatch.setattr("backup_webhooks.deliveries.delivery_log._EXAMINED_A_QUERY", 7)
    for minute in range(50):
        add(EventType.FAILURE, ago(minutes=minute), f"p{minute}")
    path = of_account(account.alias, "deliveries")

    first = client.get(path, state="delivered").json

    assert first["items"] == []
    assert first["next"]
    assert ago(minutes=50) < first["searchedBackTo"] < ago(minutes=10)
    pages, cursor = 1, first["next"]
    while cursor:
        page = client.get(path, state="delivered", cursor=cursor).json
        assert page["items"] == []
        cursor, pages = page["next"], pages + 1
    assert 3 <= pages <= 6


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"event": "Backup.Unknown"}, "event"),
        ({"state": "lost"}, "state"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2018-12-20T00:00:00"}, "until"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJub3QgYSBrZXkiXQ"}, "cursor"),
    ],
)
def test_a_parameter_that_can_not_be_is_named(
    account: Account, client: Client, query: dict[str, str], field: str
) -> None:
    assert list(client.get(of_account(account.alias, "deliveries"), **query).errors) == [field]


def test_a_failed_delivery_is_replayed_and_its_outcome_seen(
    account: Account,
    stack: Stack,
    new_queue: Callable[[], str],
    notifier: Invoke,
    redeliverer: Invoke,
    client_of: Callable[..., Client],
) -> None:
    statuses, queue = iter([503, 200]), new_queue()
    client = client_of(account.alias, RETRY_QUEUE_URL=queue)
    with Receiver(lambda _: next(statuses)) as receiver:
        account.set_target(EventType.FAILURE, receiver.url)
        notifier(finished(account.alias, backupFinishedDate=ago(minutes=1)))
        (failed,) = client.get(of_account(account.alias, "deliveries")).json["items"]

        answer = client.post(of_account(account.alias, "deliveries", failed["deliveryId"], "replay"))

        assert answer.status == 202
        (message,) = stack.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        redeliverer(message["Body"])
    again = client.get(of_account(account.alias, "deliveries", failed["deliveryId"])).json
    assert (failed["state"], failed["status"], failed["attempts"]) == ("failed", 503, 1)
    assert (again["state"], again["status"], again["attempts"]) == ("delivered", 200, 2)
    assert again["webhookId"] == failed["webhookId"]


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        ({"enabled": False}, "was switched off"),
        ({"event_types": [EventType.SUCCESS]}, "no longer has this event"),
        (None, "was removed"),
    ],
)
def test_a_target_that_would_not_be_called_is_a_conflict(
    account: Account, add: Callable[..., None], client: Client, settings: dict[str, Any] | None, detail: str
) -> None:
    target = account.set_target(EventType.FAILURE, "https://hooks.example/")
    add(EventType.FAILURE, ago(hours=1), "p", target.target_id)
    account.targets.change(account.alias, lambda _: [replace(target, **settings)] if settings else [])
    (failed,) = client.get(of_account(account.alias, "deliveries")).json["items"]

    answer = client.post(of_account(account.alias, "deliveries", failed["deliveryId"], "replay"))

    assert (answer.status, detail in answer.json["detail"]) == (409, True)


def test_all_failed_since_are_replayed_at_once(
    account: Account, stack: Stack, log: Client, new_queue: Callable[[], str], client_of: Callable[..., Client]
) -> None:
    queue = new_queue()
    client = client_of(account.alias, RETRY_QUEUE_URL=queue)

    answer = client.post(of_account(account.alias, "replays"), {"since": ago(days=2, hours=1)})

    assert (answer.status, answer.json) == (202, {"count": 3, "next": None})
    received = stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    subjects = {json.loads(message["Body"])["delivery"]["subjectId"] for message in received}
    assert subjects == {"FAILED-0", "FAILED-1", "FAILED-2"}


def test_a_delivery_about_an_id_in_any_script_is_found(
    account: Account, add: Callable[..., None], client: Client
) -> None:
    add(EventType.FAILURE, ago(hours=1), "a\u00a0b#\u3000\U0001f5c4")
    path = of_account(account.alias, "deliveries")

    (listed,) = client.get(path).json["items"]

    assert client.get(f"{path}/{listed['deliveryId']}").json == listed


@pytest.mark.parametrize("delivery_id", ["x", "WyJub3QgYSBrZXkiXQ", "WyIyMDE4LTEyLTIwVDAxOjM5OjM4LjAwMFojIl0", "e30"])
def test_an_unknown_delivery_is_not_found(account: Account, client: Client, delivery_id: str) -> None:
    path = of_account(account.alias, "deliveries", delivery_id)

    assert client.get(path).status == 404
    assert client.post(f"{path}/replay").status == 404


def test_an_endpoints_answer_is_shown_as_text(
    account: Account, notifier: Invoke, client_of: Callable[..., Client]
) -> None:
    """Markup stays as it is. Characters that cannot be shown are replaced."""
    account.set_target(EventType.FAILURE, "http://127.0.0.1:9/<script>alert(1)</script>".replace("<", "%3C"))
    notifier(finished(account.alias, serverId="<img src=x onerror=alert(1)>", backupFinishedDate=ago(minutes=1)))

    answer = client_of(account.alias).get(of_account(account.alias, "deliveries"))

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<img src=x onerror=alert(1)>" in answer.json["items"][0]["body"]


def test_all_failed_at_one_time_are_replayed_even_if_they_are_more_than_a_page(
    account: Account,
    stack: Stack,
    add: Callable[..., None],
    new_queue: Callable[[], str],
    client_of: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All misses of a schedule have the same time."""
    monkeypatch.setattr("backup_webhooks.deliveries.replays._PAGE", 4)
    for number in range(10):
        add(EventType.FAILURE, ago(hours=1), f"p{number}")
    queue = new_queue()
    client = client_of(account.alias, RETRY_QUEUE_URL=queue)
    body: dict[str, str] = {"since": ago(hours=2)}

    counts = []
    for _ in range(4):
        answer = client.post(of_account(account.alias, "replays"), body)
        counts.append(answer.json["count"])
        if answer.json["next"] is None:
            break
        body["cursor"] = answer.json["next"]

    assert counts == [4, 4, 2]
    sqs, subjects = stack.client("sqs"), set()
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        subjects |= {json.loads(message["Body"])["delivery"]["subjectId"] for message in received}
    assert len(subjects) == 10


def test_a_time_in_the_future_finds_what_there_is(account: Account, log: Client) -> None:
    page = log.get(of_account(account.alias, "deliveries"), until="2500-01-01T00:00:00Z").json
    forged = to_cursor("2500-01-01T00:00:00.000Z")

    assert len(page["items"]) == 10
    assert log.get(of_account(account.alias, "deliveries"), cursor=forged).json["items"] == page["items"]
    soon = (NOW + timedelta(minutes=5)).isoformat()
    assert log.post(of_account(account.alias, "replays"), {"since": soon}).json == {"count": 0, "next": None}


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00Z", "2999-12-31T00:00:00Z"])
def test_no_day_before_the_retention_of_the_log_is_read(
    account: Account, client_of: Callable[..., Client], dynamodb_proxy: FaultProxy, since: str
) -> None:
    client = client_of(account.alias, AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

    assert client.post(of_account(account.alias, "replays"), {"since": since}).json["count"] == 0
    assert client.get(of_account(account.alias, "deliveries"), since=since).json["items"] == []

    assert sum(not call.repeated for call in dynamodb_proxy.calls) <= 2 * 32
