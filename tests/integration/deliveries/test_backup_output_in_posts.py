"""Backup output is posted only to targets that ask for it, in the formats that have a field for it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from backup_webhooks.events.messages import EventType

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.messages import finished
from tests.support.pings import taken_off

FAILURE = EventType.FAILURE


@pytest.mark.parametrize(
    ("settings", "posted"),
    [
        ({"format": "detailed", "include_output": True}, "s3cret disk"),
        ({"format": "cloudevents", "include_output": True}, "s3cret disk"),
        ({"format": "detailed", "include_output": False}, None),
        ({"format": "detailed"}, None),
        ({"format": "text", "include_output": True}, None),
    ],
)
def test_a_target_that_asks_for_it_gets_it(
    account: Account, receiver: Receiver, notifier: Invoke, settings: dict[str, object], posted: str | None
) -> None:
    account.set_target(FAILURE, receiver.url, **settings)

    notifier(finished(account.alias, log="s3cret disk"))

    (post,) = receiver.posts
    body = json.loads(post.body)
    assert body.get("data", body).get("log") == posted
    assert (b"s3cret" in post.body) == (posted is not None)


def test_a_backup_without_a_log_has_no_such_field(account: Account, receiver: Receiver, notifier: Invoke) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", include_output=True)

    notifier(finished(account.alias))

    assert "log" not in json.loads(receiver.posts[0].body)


def test_it_is_no_part_of_an_e_mail(
    account: Account,
    stack: Stack,
    new_queue: Callable[[], str],
    handler_at: Callable[..., Invoke],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = new_queue()
    notifier = handler_at("notifier")
    monkeypatch.setenv("EMAIL_NOTICES_QUEUE_URL", queue)

    notifier(finished(account.alias, log="s3cret disk"))

    (passed_on,) = taken_off(stack, queue)
    assert passed_on["accountAlias"] == account.alias
    assert "s3cret" not in json.dumps(passed_on)


def test_it_is_off_until_it_is_set_and_stays_as_it_was_set(account: Account, client: Client) -> None:
    path = of_account(account.alias, FAILURE, "configuration")
    wanted = {"targetUri": "https://hooks.example/x", "format": "detailed"}
    client.put(path, {"targetUris": [wanted]})
    (shown,) = client.get(path).json["targetUris"]
    assert shown["includeOutput"] is account.target().include_output is False

    client.patch(f"{path}/targetUris/{shown['targetId']}", {"includeOutput": True})
    client.put(path, {"targetUris": [wanted]})

    assert client.get(path).json["targetUris"][0]["includeOutput"] is account.target().include_output is True
    assert client.put(path, {"targetUris": [wanted | {"includeOutput": "yes"}]}).errors.keys() == {
        "targetUris[0].includeOutput"
    }
