"""Ping keys in the API: made, listed, changed and revoked. Each time, a message reports it to the notifier."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.sources.pings.keys_store import MOST_PING_KEYS, PingKeysStore
from backup_webhooks.sources.pings.rules import hash_of

from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.fault_proxy import Call, FaultProxy, internal_server_error
from tests.support.pings import NIGHTLY, made, taken_off


@pytest.fixture
def queue(new_queue: Callable[[], str]) -> str:
    return new_queue()


@pytest.fixture
def client(account: Account, client_of: Callable[..., Client], queue: str) -> Client:
    """A client of the account, whose functions send to a queue of the test's own."""
    return client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue)


@pytest.fixture
def sent(stack: Stack, queue: str) -> Callable[[], list[dict[str, Any]]]:
    """Return the messages sent to the queue since the last call, in the order of their dates."""
    return lambda: sorted(taken_off(stack, queue), key=lambda message: str(message["changedDate"]))


def keys(account: Account, *steps: str) -> str:
    return of_account(account.alias, "pingKeys", *steps)


class TestMaking:
    def test_a_key_is_returned_once_and_stored_as_its_hash(
        self, account: Account, client: Client, stack: Stack
    ) -> None:
        key = made(client, account.alias)

        scheme, host, path, query, _ = urlsplit(key["url"])
        secret = path.removeprefix("/p/")
        assert (scheme, host, query, len(secret)) == ("http", "ping.example", "", 22)
        stored = stack.client("dynamodb").get_item(
            TableName=stack.outputs["PingKeysTableName"], Key={"pingKey": {"S": hash_of(secret)}}
        )["Item"]
        assert secret not in json.dumps(stored)
        listed = client.get(keys(account))
        assert secret not in listed.text
        assert listed.json["items"] == [{name: value for name, value in key.items() if name != "url"}]
        assert key["serverId"] == "fileserver"
        assert (key["backupSchedule"], key["backupIntervalHours"], key["timezone"]) == ("0 0 1 * * ?", None, "UTC")
        assert (key["lastPingAt"], key["lastSignal"]) == (None, None)

    def test_its_server_policy_is_sent_so_that_missed_backups_are_found(
        self,
        account: Account,
        client: Client,
        sent: Callable[[], list[dict[str, Any]]],
        stack: Stack,
        handler_at: Callable[..., Invoke],
    ) -> None:
        key = made(client, account.alias, timezone="Europe/Berlin")

        (message,) = sent()
        assert message["type"] == "ServerPolicyChanged"
        assert message["serverPolicyStatus"] == message["accountPolicyStatus"] == "ACTIVE"
        assert handler_at("notifier")(json.dumps(message)) == {"batchItemFailures": []}
        policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
        known = policies.load(account.alias, key["serverPolicyId"])
        assert known.expected_at is not None
        assert known.policy is not None
        assert (known.policy.server_id, known.policy.timezone) == ("fileserver", "Europe/Berlin")

    def test_a_plan_may_be_hours_after_the_backup_before(
        self, account: Account, client: Client, sent: Callable[[], list[dict[str, Any]]]
    ) -> None:
        key = made(client, account.alias, backupSchedule=None, backupIntervalHours=24, storageRegion="Borgbase EU")

        (message,) = sent()
        assert (message["backupIntervalHours"], message["backupSchedule"]) == (24, None)
        assert (key["backupIntervalHours"], key["storageRegion"]) == (24, "Borgbase EU")

    def test_each_key_has_a_server_policy_of_its_own(self, account: Account, client: Client) -> None:
        one, other = made(client, account.alias), made(client, account.alias)

        assert one["serverPolicyId"] != other["serverPolicyId"]
        assert one["url"] != other["url"]

    @pytest.mark.parametrize(
        ("changes", "field", "allowed"),
        [
            ({"backupSchedule": "0 0 25 * * ?"}, "backupSchedule", "hours: '25'"),
            ({"backupSchedule": "0 0 0 30 2 ?"}, "backupSchedule", "never fires"),
            ({"backupSchedule": "nightly"}, "backupSchedule", ""),
            ({"backupSchedule": "0 * * * * ?"}, "backupSchedule", "every 5 minutes"),
            ({"backupSchedule": None}, "backupSchedule", "one of backupSchedule and backupIntervalHours"),
            ({"backupIntervalHours": 24}, "backupSchedule", "one of backupSchedule and backupIntervalHours"),
            ({"backupSchedule": None, "backupIntervalHours": 0}, "backupIntervalHours", "greater than or equal to 1"),
            ({"timezone": "Mars"}, "timezone", "must be an IANA time zone"),
            ({"timezone": "../etc/passwd"}, "timezone", "must be an IANA time zone"),
            ({"serverId": ""}, "serverId", "at least 1 character"),
            ({"serverId": "a\nb"}, "serverId", ""),
            ({"serverId": "a" * 201}, "serverId", "at most 200 characters"),
            ({"accountPolicyName": "\x00"}, "accountPolicyName", ""),
            ({"accountPolicyName": None}, "accountPolicyName", "required"),
            ({"serverPolicyId": "another's"}, "serverPolicyId", "not permitted"),
        ],
    )
    def test_an_invalid_field_is_named_with_what_is_allowed(
        self,
        account: Account,
        client: Client,
        sent: Callable[[], list[dict[str, Any]]],
        changes: dict[str, Any],
        field: str,
        allowed: str,
    ) -> None:
        body = {name: value for name, value in (NIGHTLY | changes).items() if value is not None}

        answer = client.post(keys(account), body)

        assert answer.status == 422
        assert list(answer.errors) == [field]
        assert allowed.lower() in answer.errors[field].lower()
        assert client.get(keys(account)).json["items"] == []
        assert sent() == []

    def test_there_is_a_bound_and_room_again_after_one_is_revoked(
        self, account: Account, client: Client, stack: Stack
    ) -> None:
        store = PingKeysStore(stack.client("dynamodb"), stack.outputs["PingKeysTableName"])
        first = made(client, account.alias)
        pattern = store.find(account.alias, first["pingKeyId"])
        assert pattern is not None
        for number in range(MOST_PING_KEYS - 1):
            store.add(replace(pattern, key_hash=hash_of(f"{account.alias}{number}")))

        refused = client.post(keys(account), NIGHTLY)

        assert (refused.status, refused.json["detail"]) == (
            409,
            "There are 100 ping keys, the most an account may have.",
        )
        listed = client.get(keys(account)).json
        assert len(listed["items"]) == listed["mostPingKeys"] == 100
        client.delete(keys(account, first["pingKeyId"]))
        made(client, account.alias)

    def test_a_key_whose_policy_may_have_been_sent_is_revoked(
        self,
        account: Account,
        client_of: Callable[..., Client],
        queue: str,
        sqs_proxy: FaultProxy,
        sent: Callable[[], list[dict[str, Any]]],
    ) -> None:
        tries: list[Call] = []

        def lose_the_first_messages_answers(call: Call) -> tuple[int, bytes]:
            tries.append(call)
            answer = call.forward()
            return internal_server_error() if len(tries) <= 3 else answer

        sqs_proxy.behaviour = lose_the_first_messages_answers
        client = client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue, AWS_ENDPOINT_URL_SQS=sqs_proxy.url)

        assert client.post(keys(account), NIGHTLY).status == 503
        assert client.get(keys(account)).json["items"] == []
        assert sent()[-1]["serverPolicyStatus"] == "INACTIVE"

    def test_if_even_that_fails_the_key_can_be_revoked(
        self,
        account: Account,
        client_of: Callable[..., Client],
        queue: str,
        sqs_proxy: FaultProxy,
        sent: Callable[[], list[dict[str, Any]]],
    ) -> None:
        sqs_proxy.behaviour = lambda _: internal_server_error()
        client = client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue, AWS_ENDPOINT_URL_SQS=sqs_proxy.url)

        assert client.post(keys(account), NIGHTLY).status == 503
        (left,) = client.get(keys(account)).json["items"]
        sqs_proxy.behaviour = lambda call: call.forward()
        assert client.delete(keys(account, left["pingKeyId"])).status == 204
        assert [one["serverPolicyStatus"] for one in sent()] == ["INACTIVE"]


class TestChanging:
    def test_another_schedule_is_sent_and_the_url_stays(
        self, account: Account, client: Client, sent: Callable[[], list[dict[str, Any]]]
    ) -> None:
        key = made(client, account.alias, timezone="Europe/Berlin")

        answer = client.patch(keys(account, key["pingKeyId"]), {"backupIntervalHours": 6})

        assert answer.status == 200
        assert answer.json == {name: value for name, value in key.items() if name != "url"} | {
            "backupSchedule": None,
            "backupIntervalHours": 6,
        }
        assert client.get(keys(account)).json["items"] == [answer.json]
        first, second = sent()
        assert (second["backupIntervalHours"], second["timezone"]) == (6, "Europe/Berlin")
        assert second["changedDate"] > first["changedDate"]
        assert second["serverPolicyId"] == first["serverPolicyId"] == key["serverPolicyId"]

    def test_fields_that_are_left_out_stay(self, account: Account, client: Client) -> None:
        key = made(client, account.alias, timezone="Europe/Berlin")
        path = keys(account, key["pingKeyId"])

        zone = client.patch(path, {"timezone": "Asia/Tokyo"}).json
        assert (zone["backupSchedule"], zone["timezone"]) == ("0 0 1 * * ?", "Asia/Tokyo")
        schedule = client.patch(path, {"backupSchedule": "0 0 2 * * ?"}).json
        assert (schedule["backupSchedule"], schedule["timezone"]) == ("0 0 2 * * ?", "Asia/Tokyo")
        assert list(client.patch(path, {"backupSchedule": "x"}).errors) == ["backupSchedule"]
        assert list(client.patch(path, {"backupSchedule": "0 0/4 * * * ?"}).errors) == ["backupSchedule"]
        assert list(client.patch(path, {"backupSchedule": "0 0 2 * * ?", "backupIntervalHours": 1}).errors) == [
            "backupSchedule"
        ]
        assert client.get(keys(account)).json["items"] == [schedule]

    def test_a_change_that_could_not_be_sent_is_sent_when_it_is_made_again(
        self,
        account: Account,
        client: Client,
        client_of: Callable[..., Client],
        queue: str,
        sqs_proxy: FaultProxy,
        sent: Callable[[], list[dict[str, Any]]],
    ) -> None:
        path = keys(account, made(client, account.alias)["pingKeyId"])
        sqs_proxy.behaviour = lambda _: internal_server_error()
        broken = client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue, AWS_ENDPOINT_URL_SQS=sqs_proxy.url)

        assert broken.patch(path, {"backupIntervalHours": 6}).status == 503
        sqs_proxy.behaviour = lambda call: call.forward()
        assert broken.patch(path, {"backupIntervalHours": 6}).status == 200

        assert [one["backupIntervalHours"] for one in sent()] == [None, 6]


class TestRevoking:
    def test_a_revoked_key_is_removed_and_no_backup_is_expected(
        self,
        account: Account,
        client: Client,
        sent: Callable[[], list[dict[str, Any]]],
        handler_at: Callable[..., Invoke],
        client_of: Callable[..., Client],
    ) -> None:
        key = made(client, account.alias)

        answer = client.delete(keys(account, key["pingKeyId"]))

        assert (answer.status, answer.text) == (204, "")
        assert client.get(keys(account)).json["items"] == []
        first, last = sent()
        assert (last["serverPolicyStatus"], last["serverPolicyId"]) == ("INACTIVE", key["serverPolicyId"])
        assert last["changedDate"] > first["changedDate"]
        handler_at("notifier")(json.dumps(first), json.dumps(last))
        (server,) = client_of(account.alias).get(of_account(account.alias, "serverPolicies")).json["items"]
        assert (server["serverPolicyId"], server["state"]) == (key["serverPolicyId"], "inactive")
        # Another key can be made.
        assert client_of(account.alias).delete(keys(account, key["pingKeyId"])).status == 404

    def test_a_revocation_that_could_not_be_sent_can_be_repeated(
        self,
        account: Account,
        client: Client,
        client_of: Callable[..., Client],
        queue: str,
        sqs_proxy: FaultProxy,
        sent: Callable[[], list[dict[str, Any]]],
    ) -> None:
        path = keys(account, made(client, account.alias)["pingKeyId"])
        sqs_proxy.behaviour = lambda _: internal_server_error()
        broken = client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue, AWS_ENDPOINT_URL_SQS=sqs_proxy.url)

        assert broken.delete(path).status == 503
        assert len(broken.get(keys(account)).json["items"]) == 1
        sqs_proxy.behaviour = lambda call: call.forward()
        assert broken.delete(path).status == 204

        assert [one["serverPolicyStatus"] for one in sent()] == ["ACTIVE", "INACTIVE"]

    def test_a_removal_whose_answer_was_lost_is_done(
        self, account: Account, client_of: Callable[..., Client], queue: str, dynamodb_proxy: FaultProxy
    ) -> None:
        client = client_of(account.alias, BACKUP_EVENTS_QUEUE_URL=queue, AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)
        path = keys(account, made(client, account.alias)["pingKeyId"])
        lost: list[Call] = []

        def lose_the_first(call: Call) -> tuple[int, bytes]:
            answer = call.forward()
            if call.operation == "TransactWriteItems" and not lost:
                lost.append(call)
                return internal_server_error()
            return answer

        dynamodb_proxy.behaviour = lose_the_first

        assert client.delete(path).status == 204
        assert lost
        assert client.get(keys(account)).json["items"] == []


class TestOthers:
    def test_one_account_has_no_access_to_anothers_keys(
        self, account: Account, client: Client, client_of: Callable[..., Client]
    ) -> None:
        key_id = made(client, account.alias)["pingKeyId"]
        others = Account("OTHER", account.stack)
        other = client_of(others.alias)

        assert other.get(keys(account)).status == 403
        assert other.post(keys(account), NIGHTLY).status == 403
        assert other.patch(keys(others, key_id), {"backupIntervalHours": 1}).status == 404
        assert other.delete(keys(others, key_id)).status == 404
        assert client_of(None).get(keys(account)).status == 401
        assert [one["pingKeyId"] for one in client_of(account.alias).get(keys(account)).json["items"]] == [key_id]

    @pytest.mark.parametrize("key_id", ["x", "0" * 16, "a" * 5000])
    def test_an_id_that_is_none_is_not_found(self, account: Account, client: Client, key_id: str) -> None:
        made(client, account.alias)

        answer = client.delete(keys(account, key_id))

        assert (answer.status, answer.json["detail"]) == (404, "There is no such target, delivery or ping key.")
