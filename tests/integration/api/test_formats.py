"""Formats in the API: the choices, and previews of the body."""

from __future__ import annotations

import json

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.payloads import FORMATS

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.api import Client, of_account

FAILURE = EventType.FAILURE
SETTINGS = {
    "pagerduty": {"destinationKey": "R" * 32},
    "ntfy": {"destinationKey": "backups"},
}


def without_ids(value: object) -> object:
    """Return the body without what differs between two test events."""
    if isinstance(value, dict):
        return {name: without_ids(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_ids(part) for part in value]
    return "…" if isinstance(value, str) and any(map(str.isdigit, value)) else value


@pytest.mark.parametrize("event", list(EventType))
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_preview_is_what_a_test_event_posts(
    account: Account, client: Client, receiver: Receiver, format_name: str, event: EventType
) -> None:
    shown = client.get(of_account(account.alias, event, "preview"), format=format_name)

    target = {"targetUri": f"{receiver.url}/", "format": format_name} | SETTINGS.get(format_name, {})
    client.put(of_account(account.alias, event, "configuration"), {"targetUris": [target]})
    target_id = account.target().target_id
    outcome = client.post(of_account(account.alias, event, "configuration", "targetUris", target_id, "test")).json

    assert shown.status == 200
    assert outcome["delivered"]
    (post,) = receiver.posts
    assert shown.json["contentType"] == post.headers["content-type"]
    assert shown.json["format"] == format_name
    assert without_ids(json.loads(shown.json["body"])) == without_ids(json.loads(outcome["body"]))


def test_a_preview_posts_nothing_and_is_of_the_account(account: Account, client: Client, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)

    shown = client.get(of_account(account.alias, FAILURE, "preview"), format="detailed").json

    assert receiver.posts == []
    assert json.loads(shown["body"])["account"] == account.alias
    assert json.loads(shown["body"])["server"] == "TEST-MESSAGE"


@pytest.mark.parametrize("query", [{"format": "xml"}, {"format": ""}, {"format": "../text"}, {}])
def test_an_unknown_format_is_refused_with_the_known_ones(
    account: Account, client: Client, query: dict[str, str]
) -> None:
    answer = client.get(of_account(account.alias, FAILURE, "preview"), **query)

    assert answer.status == 422
    assert list(answer.errors) == ["format"]
    assert "text, detailed, slack" in answer.errors["format"] or not query


def test_a_preview_of_another_account_or_of_no_event_is_not_given(account: Account, client: Client) -> None:
    assert client.get(of_account("OTHR", FAILURE, "preview"), format="text").status == 403
    assert client.get(of_account(account.alias, "Backup.Nothing", "preview"), format="text").status == 404


def test_the_formats_are_listed_and_are_in_the_openapi_document(account: Account, client: Client) -> None:
    document = client.get("/openapi.json").json
    (setting, _) = document["components"]["schemas"]["TargetSettings"]["properties"]["format"]["anyOf"]
    (parameter,) = [
        one
        for one in document["paths"]["/v2/webhooks/{account}/{event}/preview"]["get"]["parameters"]
        if one["name"] == "format"
    ]

    assert client.get(of_account(account.alias)).json["formats"] == list(FORMATS)
    assert setting["enum"] == parameter["schema"]["enum"] == list(FORMATS)


@pytest.mark.parametrize("format_name", ["slack", "teams", "discord", "google-chat"])
def test_a_format_is_set_and_read_back(account: Account, client: Client, format_name: str) -> None:
    target = {"targetUri": "https://hooks.example/x", "format": format_name}
    client.put(of_account(account.alias, FAILURE, "configuration"), {"targetUris": [target]})

    (read,) = client.get(of_account(account.alias, FAILURE, "configuration")).json["targetUris"]

    assert (read["format"], read["hasDestinationKey"]) == (format_name, False)
