"""The API of an account's targets: one URL with many events, one secret and one health."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.event_filter import EventFilter
from standardwebhooks import Webhook

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.api import Answer, Client, of_account

EVENTS = ["Backup.Failure", "Backup.Missing"]
REPRESENTATION = {"prefer": "return=representation"}
URL = "https://hooks.example/services/T000/B000/1"


def path(account: Account, *steps: str) -> str:
    return of_account(account.alias, "targets", *steps)


def add(client: Client, account: Account, **settings: Any) -> dict[str, Any]:
    answer = client.post(path(account), {"targetUri": URL, "events": EVENTS} | settings)
    assert answer.status == 201, answer.text
    return dict(answer.json)


def test_a_target_is_added_with_its_events_and_its_secret_is_shown_once(account: Account, client: Client) -> None:
    answer = client.post(path(account), {"targetUri": URL, "events": ["Backup.Missing", *EVENTS], "format": "slack"})

    assert answer.status == 201
    added = answer.json
    assert (added["targetUri"], added["events"], added["format"]) == (URL, EVENTS, "slack")
    assert answer.headers["location"] == path(account, added["targetId"])
    (secret,) = account.target().secrets
    assert added["secret"] == secret.value

    listed = client.get(path(account)).json
    assert listed["items"] == [added | {"secret": None}]
    assert listed["mostTargets"] == 25
    one = client.get(path(account, added["targetId"]))
    assert one.json == added | {"secret": None}
    assert one.headers["etag"] == answer.headers["etag"]


def test_a_patch_changes_only_what_it_names_and_keeps_id_and_secret(account: Account, client: Client) -> None:
    added = add(client, account, format="detailed", headers={"x-team": "night"})
    one = path(account, added["targetId"])

    assert client.patch(one, {"events": ["Backup.Success"]}).status == 204
    changed = client.patch(one, {"targetUri": URL.replace("/1", "/2")}, **REPRESENTATION)

    assert changed.status == 200
    assert changed.json == added | {
        "secret": None,
        "targetUri": URL.replace("/1", "/2"),
        "events": ["Backup.Success"],
    }
    assert account.target().headers == {"x-team": "night"}


def test_a_filter_is_set_shown_and_replaced_as_a_whole(account: Account, client: Client) -> None:
    servers = {"policies": [], "servers": ["db-*"], "storageRegions": []}
    added = add(client, account, filter={"servers": ["db-*"]})
    one = path(account, added["targetId"])
    assert added["filter"] == servers

    assert client.patch(one, {"format": "detailed"}).status == 204
    assert client.get(one).json["filter"] == servers
    client.patch(one, {"filter": {"policies": ["Nightly"], "storageRegions": ["US*"]}})
    assert account.target().filter == EventFilter(("Nightly",), (), ("US*",))
    client.patch(one, {"filter": {}})
    assert account.target().filter == EventFilter()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"servers": [""]}, "filter.servers[0]"),
        ({"servers": "db-*"}, "filter.servers"),
        ({"servers": ["x" * 501]}, "filter.servers[0]"),
        ({"policies": ["x"] * 21}, "filter.policies"),
        ({"regions": ["US*"]}, "filter.regions"),
    ],
)
def test_an_invalid_filter_names_its_field(account: Account, client: Client, wanted: Any, field: str) -> None:
    answer = client.post(path(account), {"targetUri": URL, "events": EVENTS, "filter": wanted})

    assert (answer.status, list(answer.errors)) == (422, [field])


@pytest.mark.parametrize("moved", ["https://thief.example/1", "http://hooks.example/1", "https://hooks.example:8443/1"])
def test_what_is_stored_for_one_host_is_not_sent_to_another(account: Account, client: Client, moved: str) -> None:
    key = {"destinationKey": "0123456789abcdef" * 2}
    added = add(client, account, headers={"authorization": "Bearer s3cret"}, format="pagerduty", **key)
    one = path(account, added["targetId"])

    assert list(client.patch(one, {"targetUri": moved} | key).errors) == ["headers"]
    assert list(client.patch(one, {"targetUri": moved, "headers": {"authorization": None}} | key).errors) == [
        "headers['authorization']"
    ]
    assert list(client.patch(one, {"targetUri": moved, "headers": {}}).errors) == ["destinationKey"]
    assert account.target().url == URL

    given = {"targetUri": moved, "headers": {"authorization": "Bearer new"}} | key
    assert client.patch(one, given).status == 204
    assert (account.target().url, account.target().headers) == (moved, {"authorization": "Bearer new"})


def test_a_target_is_removed_with_all_its_events(account: Account, client: Client) -> None:
    added = add(client, account)
    other = account.set_target(EventType.FAILURE, "https://hooks.example/other")

    assert client.delete(path(account, added["targetId"])).status == 204

    assert account.target().target_id == other.target_id
    assert client.get(path(account, added["targetId"])).status == 404


def test_of_two_people_who_change_a_target_the_later_must_read_it_first(account: Account, client: Client) -> None:
    added = add(client, account)
    one = path(account, added["targetId"])
    seen = client.get(one).headers["etag"]

    first = client.patch(one, {"format": "detailed"}, if_match=seen)
    assert first.status == 204
    assert client.patch(one, {"format": "slack"}, if_match=seen).status == 412
    assert client.request("DELETE", one, None, {"if-match": seen}).status == 412
    assert account.target().format == "detailed"

    # A change of another target is none of this one.
    account.set_target(EventType.FAILURE, "https://hooks.example/other")
    assert client.patch(one, {"format": "slack"}, if_match=first.headers["etag"]).status == 204


def test_the_same_url_for_the_same_event_is_one_target(account: Account, client: Client) -> None:
    add(client, account)
    body = {"targetUri": URL.replace("https", "HTTPS"), "events": ["Backup.Success", "Backup.Missing"]}

    assert "Backup.Missing" in client.post(path(account), body).errors["targetUri"]
    second = client.post(path(account), body | {"events": ["Backup.Success"]})
    assert second.status == 201

    wider = client.patch(path(account, second.json["targetId"]), {"events": ["Backup.Success", "Backup.Failure"]})
    assert "Backup.Failure" in wider.errors["targetUri"]


def test_a_26th_target_is_refused(account: Account, client: Client) -> None:
    for number in range(25):
        assert client.post(path(account), {"targetUri": f"{URL}/{number}", "events": EVENTS}).status == 201

    refused = client.post(path(account), {"targetUri": URL, "events": EVENTS})

    assert refused.errors == {"targets": "at most 25 targets an account are allowed"}
    assert len(client.get(of_account(account.alias, EVENTS[0], "configuration")).json["targetUris"]) == 25


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"events": EVENTS}, "targetUri", "required"),
        ({"targetUri": URL}, "events", "required"),
        ({"targetUri": URL, "events": []}, "events", "at least 1"),
        ({"targetUri": URL, "events": ["Backup.Failed"]}, "events[0]", "'Backup.Failure'"),
        ({"targetUri": URL, "events": "Backup.Failure"}, "events", "list"),
        ({"targetUri": "https://hooks.example/100%", "events": EVENTS}, "targetUri", "%25"),
        ({"targetUri": URL, "events": EVENTS, "event": "Backup.Failure"}, "event", "not permitted"),
        ({"targetUri": URL, "events": EVENTS, "targetId": "0" * 16}, "targetId", "not permitted"),
        (
            {"targetUri": URL, "events": ["Backup.Success"], "preferences": {"changesOnly": True, "remindHours": 1}},
            "preferences.remindHours",
            "only with Backup.Failure",
        ),
    ],
)
def test_an_invalid_target_names_its_field_and_what_is_allowed(
    account: Account, client: Client, body: dict[str, Any], field: str, reason: str
) -> None:
    answer = client.post(path(account), body)

    assert answer.status == 422
    assert list(answer.errors) == [field]
    assert reason in answer.errors[field]
    assert account.targets.load(account.alias).targets == []


def test_a_url_of_no_public_host_is_refused_when_added_and_when_changed(
    account: Account, client_of: Callable[..., Client]
) -> None:
    client = client_of(account.alias, ALLOW_PRIVATE_TARGETS="false")
    private = "http://10.0.0.1/"
    public = client.post(path(account), {"targetUri": "https://1.1.1.1/", "events": EVENTS})

    assert list(client.post(path(account), {"targetUri": private, "events": EVENTS}).errors) == ["targetUri"]
    assert list(client.patch(path(account, public.json["targetId"]), {"targetUri": private}).errors) == ["targetUri"]
    assert account.target().url == "https://1.1.1.1/"


@pytest.mark.parametrize("event", [None, "Backup.Success"])
def test_a_test_event_is_of_the_targets_first_type_or_of_the_one_that_is_asked_for(
    account: Account, client: Client, event: str | None
) -> None:
    with Receiver() as receiver:
        added = add(client, account, targetUri=receiver.url, format="cloudevents")
        one = path(account, added["targetId"], "test")
        outcome = client.request("POST", one, None, {}, **({"event": event} if event else {})).json

    assert outcome["delivered"]
    (post,) = receiver.posts
    assert json.loads(post.body)["type"].endswith(event or "Backup.Failure")
    Webhook(added["secret"]).verify(post.body.decode(), dict(post.headers))


def test_a_secret_is_rotated_for_all_events(account: Account, client: Client) -> None:
    added = add(client, account)

    rotated = client.post(path(account, added["targetId"], "secret"), {"overlapHours": 2}).json

    newest, older = account.target().secrets
    assert (newest.value, older.value) == (rotated["secret"], added["secret"])


@pytest.mark.parametrize("action", ["get", "test", "secret", "patch", "delete"])
def test_an_unknown_target_is_not_found(account: Account, client: Client, action: str) -> None:
    one = path(account, "0" * 16)
    answers: dict[str, Callable[[], Answer]] = {
        "get": lambda: client.get(one),
        "test": lambda: client.post(f"{one}/test"),
        "secret": lambda: client.post(f"{one}/secret", {}),
        "patch": lambda: client.patch(one, {"enabled": False}),
        "delete": lambda: client.delete(one),
    }

    assert answers[action]().status == 404


def test_a_targets_health_is_one_for_all_its_events(account: Account, client: Client) -> None:
    added = add(client, account)
    account.targets.record_failure(account.target(), 500, "answered 500", slow=False, now=datetime.now(UTC))

    assert client.get(path(account, added["targetId"])).json["health"]["state"] == "failing"
    for event in EVENTS:
        (shown,) = client.get(of_account(account.alias, event, "configuration")).json["targetUris"]
        assert shown["health"]["state"] == "failing"
