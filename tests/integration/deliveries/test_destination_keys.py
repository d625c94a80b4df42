"""The key that a destination wants in the body: stored with its target, filled in at an attempt, and never shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode
from standardwebhooks import Webhook

from local.receiver import Post, Receiver
from tests.integration.conftest import Account, Invoke
from tests.integration.deliveries.conftest import DELAYS
from tests.support.api import Client, of_account
from tests.support.messages import finished
from tests.world.endpoints import Times
from tests.world.world import World

FAILURE = EventType.FAILURE
URL = "https://events.pagerduty.com/v2/enqueue"
KEY, OTHER = "R0utingKey" + "a" * 22, "An0therKey" + "b" * 22
PAGERDUTY = {"format": "pagerduty", "destination_key": KEY}


def event_path(account: Account, *steps: str) -> str:
    return of_account(account.alias, FAILURE, "configuration", *steps)


def put(account: Account, client: Client, **settings: Any) -> Any:
    return client.put(event_path(account), {"targetUris": [{"targetUri": URL, **settings}]})


def keys(posts: list[Post]) -> list[str]:
    return [json.loads(post.body)["routing_key"] for post in posts]


def echo(post: Post) -> tuple[int, dict[str, str], bytes]:
    """An endpoint that echoes the request."""
    return 400, {}, post.body


class TestAsASetting:
    def test_it_is_stored_and_only_its_presence_is_shown(self, account: Account, client: Client) -> None:
        answer = client.put(
            event_path(account),
            {"targetUris": [{"targetUri": URL, "format": "pagerduty", "destinationKey": KEY}]},
            prefer="return=representation",
        )

        assert account.target().destination_key == KEY
        (target,) = answer.json["configuration"]["targetUris"]
        assert target["hasDestinationKey"] is True
        for text in (answer.text, client.get(of_account(account.alias)).text, client.get(event_path(account)).text):
            assert KEY not in text
        assert KEY not in repr(account.target())

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"format": "pagerduty"}, "required with the format pagerduty: the routing key"),
            ({"format": "pagerduty", "destinationKey": KEY[1:]}, "the routing key is 32 letters and digits"),
            ({"format": "pagerduty", "destinationKey": KEY + "\n"}, "the routing key is 32 letters and digits"),
            ({"format": "pagerduty", "destinationKey": ""}, "the routing key is 32 letters and digits"),
            ({"format": "slack", "destinationKey": KEY}, "not allowed with the format slack"),
            ({"destinationKey": KEY}, "not allowed with the format text"),
            ({"format": "ntfy", "targetUri": "https://ntfy.sh/"}, "required with the format ntfy: the topic"),
            ({"format": "ntfy", "targetUri": "https://ntfy.sh/", "destinationKey": "a/b"}, "the topic is 1 to 64"),
        ],
    )
    def test_an_invalid_key_is_named_by_its_field_and_not_repeated(
        self, account: Account, client: Client, settings: dict[str, str], reason: str
    ) -> None:
        answer = put(account, client, **settings)

        assert list(answer.errors) == ["targetUris[0].destinationKey"]
        assert reason in answer.errors["targetUris[0].destinationKey"]
        assert KEY[1:] not in answer.text
        assert account.targets.load(account.alias).targets == []

    def test_it_stays_if_a_request_leaves_it_out(self, account: Account, client: Client) -> None:
        put(account, client, format="pagerduty", destinationKey=KEY)
        read = client.get(event_path(account)).json

        assert client.put(event_path(account), read).status == 204
        assert put(account, client, format="pagerduty", delivery="retry", destinationKey=None).status == 204
        path = event_path(account, "targetUris", account.target().target_id)
        assert client.patch(path, {"enabled": False}).status == 204

        assert account.target().destination_key == KEY

    def test_it_is_replaced_by_another(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, URL, **PAGERDUTY)

        client.patch(event_path(account, "targetUris", target.target_id), {"destinationKey": OTHER})

        assert account.target().destination_key == OTHER

    def test_it_is_removed_with_its_format(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, URL, **PAGERDUTY)
        path = event_path(account, "targetUris", target.target_id)

        assert client.patch(path, {"format": "text"}).status == 204

        assert account.target().destination_key is None
        assert "required" in client.patch(path, {"format": "pagerduty"}).errors["destinationKey"]


class TestInAnAttempt:
    def test_it_is_posted_signed_and_in_no_log_queue_or_answer(
        self, account: Account, client: Client, notifier: Invoke, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with Receiver(echo) as receiver:
            account.set_target(FAILURE, receiver.url, **PAGERDUTY)
            notifier(finished(account.alias))

        (post,) = receiver.posts
        assert keys([post]) == [KEY]
        Webhook(account.target().secrets[0].value).verify(post.body.decode(), dict(post.headers))
        (entry,) = account.deliveries()
        assert json.loads(entry["body"]) == json.loads(post.body) | {"routing_key": "***"}
        # The key is masked even if the endpoint echoes it.
        assert json.loads(entry["response"])["routing_key"] == "*" * 32
        assert KEY not in client.get(of_account(account.alias, "deliveries")).text
        captured = capfd.readouterr()
        assert KEY not in captured.out + captured.err + str(entry)

    def test_an_answer_that_breaks_off_within_it_is_stored_without_the_part(
        self, account: Account, notifier: Invoke
    ) -> None:
        with Receiver(lambda post: (400, {}, f"no such key: {KEY[:20]}".encode())) as receiver:
            account.set_target(FAILURE, receiver.url, **PAGERDUTY)
            notifier(finished(account.alias))

        (entry,) = account.deliveries()
        assert entry["response"] == "no such key: " + "*" * 20

    def test_it_is_in_no_queue_while_a_retry_waits_and_the_current_one_is_posted(
        self, account: Account, world: World
    ) -> None:
        endpoint = Times(503, 202)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, **PAGERDUTY)
            world.send(finished(account.alias))
            world.settle(within=DELAYS[0] / 5)
            (waiting,) = world.retries.messages
            account.set_target(
                FAILURE, receiver.url, delivery=DeliveryMode.RETRY, format="pagerduty", destination_key=OTHER
            )
            world.settle()

        assert KEY not in waiting.body
        assert keys([post for _, post in endpoint.posts]) == [KEY, OTHER]

    def test_a_retry_whose_key_was_removed_is_not_made_and_the_log_says_so(
        self, account: Account, world: World
    ) -> None:
        endpoint = Times(503)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY, **PAGERDUTY)
            world.send(finished(account.alias))
            world.settle(within=DELAYS[0] / 5)
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.settle()

        (entry,) = account.deliveries()
        assert len(endpoint.posts) == 1
        assert entry["error"] == ("not attempted: the target was given another format, and has no routing key any more")

    def test_a_replay_of_such_a_delivery_is_a_conflict(
        self, account: Account, client: Client, notifier: Invoke, receiver: Receiver
    ) -> None:
        account.set_target(FAILURE, receiver.url, **PAGERDUTY)
        notifier(finished(account.alias, backupFinishedDate=datetime.now(UTC).isoformat()))
        account.set_target(FAILURE, receiver.url, format="slack")
        path = of_account(account.alias, "deliveries")
        (logged,) = client.get(path).json["items"]

        answer = client.post(f"{path}/{logged['deliveryId']}/replay")

        assert (logged["format"], answer.status) == ("pagerduty", 409)
        assert "has no routing key any more: it is not called." in answer.json["detail"]


class TestATopicOfNtfy:
    def test_it_is_posted_to_the_very_url_that_was_given(
        self, account: Account, notifier: Invoke, receiver: Receiver
    ) -> None:
        account.set_target(FAILURE, f"{receiver.url}/", format="ntfy", destination_key="backups-x7")

        notifier(finished(account.alias))

        (post,) = receiver.posts
        assert (post.path, post.headers["content-type"]) == ("/", "application/json")
        body = json.loads(post.body)
        assert (body["topic"], body["title"]) == ("backups-x7", "Backup failed: IL1TESTWEB01")

    def test_a_topics_own_url_is_refused_with_what_to_give_instead(self, account: Account, client: Client) -> None:
        wanted = {"targetUri": "https://ntfy.sh/backups", "format": "ntfy", "destinationKey": "backups"}

        answer = client.put(event_path(account), {"targetUris": [wanted]})

        assert list(answer.errors) == ["targetUris[0].targetUri"]
        assert "such as https://ntfy.sh/" in answer.errors["targetUris[0].targetUri"]


class TestInATest:
    def test_it_is_posted_and_not_shown(self, account: Account, client: Client) -> None:
        with Receiver(echo) as receiver:
            target = account.set_target(FAILURE, receiver.url, **PAGERDUTY)
            answer = client.post(event_path(account, "targetUris", target.target_id, "test"))

        assert keys(receiver.posts) == [KEY]
        assert KEY not in answer.text
        assert json.loads(answer.json["body"])["routing_key"] == "***"

    def test_the_test_of_a_success_closes_the_incident_that_a_failures_test_has_opened(
        self, account: Account, client: Client, receiver: Receiver
    ) -> None:
        for event in (FAILURE, EventType.MISSING, EventType.SUCCESS):
            target = account.set_target(event, receiver.url, **PAGERDUTY)
            client.post(of_account(account.alias, event, "configuration", "targetUris", target.target_id, "test"))

        bodies = [json.loads(post.body) for post in receiver.posts]
        assert [one["event_action"] for one in bodies] == ["trigger", "trigger", "resolve"]
        assert len({one["dedup_key"] for one in bodies}) == 1
