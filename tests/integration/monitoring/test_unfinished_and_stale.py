"""Backups that never end and successes that are too old: from the queue to the customer's endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType, ServerPolicyChanged, encode_message
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Handler, Invoke
from tests.support.api import Client, of_account
from tests.support.messages import Context, sqs_event
from tests.support.policies import LONG_AGO, at, changed, finished, no_policies, started
from tests.support.queue import queued

SERVER, NAME = "testServerId20181228013921", "TestAccountPolicyName20181228013921"
IDS = f"for policy [{NAME}] with server policy id [e6ac019b-c646-359a-83a4-b81b5cc1c512] and storage region [US WEST]"
MINUTE = timedelta(minutes=1)


class Service:
    """The account's service: messages to its notifier, and ticks of missed_backups at a time."""

    def __init__(self, stack: Stack, account: Account, notifier: Invoke, missed_backups: Handler) -> None:
        self.stack, self.notifier, self.missed_backups = stack, notifier, missed_backups
        self.own = {"account_alias": account.alias}
        self.watermark = WatermarkStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])

    def policy(self, since: str, **changes: Any) -> ServerPolicyChanged:
        return changed(since, clc_account_alias=self.own["account_alias"], **changes)

    def send(self, *messages: Any) -> None:
        for message in messages:
            assert self.notifier(encode_message(message)) == {"batchItemFailures": []}

    def tick(self, as_of: datetime) -> Sequence[str]:
        """Tick with a queue that has been read up to then, and handle the account's events. Return their types."""
        now = as_of + 8 * MINUTE
        self.watermark.save_tick(
            Watermark(seen=(SeenHeartbeat(as_of, as_of),), ran_at=now - MINUTE, resumed_at=LONG_AGO)
        )
        self.missed_backups({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, Context())
        found = [body for body in queued(self.stack) if body["type"] != "Heartbeat"]
        for body in found:
            self.notifier(json.dumps(body))
        return [body["type"] for body in found]


@pytest.fixture
def service(
    stack: Stack, account: Account, notifier: Invoke, handler_of: Callable[..., Handler], receiver: Receiver
) -> Service:
    account.set_target(EventType.RECOVERED, receiver.url, format="detailed")
    for event in (EventType.UNFINISHED, EventType.STALE):
        account.set_target(event, f"{receiver.url}/{event}")
    no_policies(stack)
    queued(stack)
    return Service(stack, account, notifier, handler_of("missed_backups"))


def texts(receiver: Receiver) -> list[str]:
    return [json.loads(post.body)["text"] for post in receiver.posts]


def test_a_backup_that_hangs_is_posted_once_and_its_late_end_as_usual(
    service: Service, receiver: Receiver, account: Account, stack: Stack, client_of: Callable[..., Client]
) -> None:
    service.send(
        service.policy("12-19 09:00"),
        finished("12-19 17:00", "12-19 17:30", **service.own),
        started("12-20 17:00", restore_point_id="rp 12-20 17:00", **service.own),
    )

    assert service.tick(at("12-21 17:00")) == []
    assert service.tick(at("12-21 17:01")) == ["BackupUnfinished"]
    assert service.tick(at("12-21 17:02")) == []

    assert texts(receiver) == [f"{SERVER} has not finished a backup started at 2018-12-20T17:00:00.000Z {IDS}"]
    (item,) = client_of(account.alias).get(of_account(account.alias, "serverPolicies")).json["items"]
    assert (item["state"], item["unfinishedSince"]) == ("unfinished", "2018-12-20T17:00:00.000Z")
    assert [day["unfinished"] for day in item["days"]] == [0] * 30  # of 2018
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    assert store.load(account.alias, item["serverPolicyId"]).daily_counts[at("12-20 00:00").date()].unfinished == 1

    assert service.tick(at("12-21 18:01")) == ["BackupMissed"]
    service.send(finished("12-20 17:00", "12-21 20:00", **service.own))
    service.tick(at("12-21 20:30"))

    recovered = json.loads(receiver.posts[-1].body)
    assert (recovered["event"], recovered["unfinished"], recovered["missed"]) == ("Backup.Recovered", 1, 1)
    assert len(receiver.posts) == 2


def test_nights_that_are_cancelled_are_stale_once_until_the_next_success(service: Service, receiver: Receiver) -> None:
    service.send(service.policy("12-01 09:00"), finished("12-01 17:00", "12-01 17:30", **service.own))
    found = []
    for night in range(2, 9):
        service.send(finished(f"12-{night:02} 17:00", f"12-{night:02} 17:30", "CANCELLED", **service.own))
        found += service.tick(at(f"12-{night:02} 18:30"))

    assert found == ["BackupStale"]
    assert texts(receiver) == [f"{SERVER} has had no successful backup since 2018-12-01T17:30:00.000Z {IDS}"]
    service.send(finished("12-09 17:00", "12-09 17:30", **service.own))
    assert service.tick(at("12-09 18:30")) == ["BackupRecovered"]
    assert json.loads(receiver.posts[-1].body)["stale"] == 1


def test_limits_of_the_message_hold(service: Service, receiver: Receiver) -> None:
    service.send(
        service.policy("12-20 09:00", longest_run_minutes=30, good_backup_age_hours=2),
        started("12-20 17:00", **service.own),
    )

    assert service.tick(at("12-20 11:01")) == ["BackupStale"]
    assert service.tick(at("12-20 17:29")) == []
    assert service.tick(at("12-20 17:31")) == ["BackupUnfinished"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("longestRunMinutes", 4), ("longestRunMinutes", 525_601), ("goodBackupAgeHours", 0), ("goodBackupAgeHours", 8761)],
)
def test_a_limit_beyond_its_bounds_is_refused_by_field(
    service: Service, caplog: pytest.LogCaptureFixture, field: str, value: int
) -> None:
    body = json.loads(encode_message(service.policy("12-20 09:00"))) | {field: value}

    assert len(service.notifier(json.dumps(body))["batchItemFailures"]) == 1
    assert [record.field for record in caplog.records if record.message == "message rejected"] == [f"$.{field}"]  # type: ignore[attr-defined]


def test_the_facts_of_a_failure_name_the_last_success(service: Service, receiver: Receiver, account: Account) -> None:
    account.set_target(EventType.FAILURE, f"{receiver.url}/failure", format="detailed")
    counts = {"bytes_transferred_to_storage": 1.5e9, "files_transferred_to_storage": 12}
    service.send(
        finished("12-19 17:00", "12-19 17:30", **service.own),
        # A last success by the sender's own account is not posted.
        finished("12-20 17:00", "12-20 17:45", "FAILED", last_success_date=at("12-20 16:00"), **service.own, **counts),
    )

    (post,) = receiver.posts
    facts = {
        "startedDate": "2018-12-20T17:00:00.000Z",
        "durationSeconds": 2700,
        "bytes": 1_500_000_000,
        "files": 12,
        "lastSuccessDate": "2018-12-19T17:30:00.000Z",
        "lastSuccessAgeHours": 24.2,
    }
    assert facts.items() <= json.loads(post.body).items()


def test_a_date_ahead_is_posted_as_it_was_sent_and_counted(
    account: Account, handler_of: Callable[..., Handler], receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    end = finished("12-20 17:00", "2036-01-01T00:00:00Z", "FAILED", account_alias=account.alias)

    handler_of("notifier")(sqs_event(encode_message(end), sent_at=at("12-20 17:30")), Context())

    assert texts(receiver)[0].endswith("Finished Date/Time: 2036-01-01 00:00:00 UTC")
    assert '"DatesAhead":[1.0]' in capsys.readouterr().out
