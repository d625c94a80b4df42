"""Backup output is posted only to targets that ask for it, in the formats that have a field for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import replace
from datetime import timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.messages import finished
from tests.support.pings import taken_off
from tests.world.world import World

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


@pytest.mark.parametrize("format_name", ["detailed", "cloudevents"])
@pytest.mark.parametrize("way", ["retry", "replay", "group", "reminder", "deferred"])
def test_it_is_not_posted_once_the_target_asks_for_it_no_more(
    account: Account, world: World, way: str, format_name: str
) -> None:
    """Whatever waits meanwhile is posted with the target's settings as they are then."""
    settings: Mapping[str, Any] = {
        "retry": {"delivery": DeliveryMode.RETRY},
        "replay": {},
        "group": {"preferences": Preferences(group=True)},
        "reminder": {"preferences": Preferences(changes_only=True, remind_hours=1)},
        "deferred": {},
    }[way]
    statuses = iter([200 if way == "reminder" else 503])
    if way == "group":
        statuses = iter([])
    with Receiver(lambda post: next(statuses, 200)) as receiver:
        target = account.set_target(FAILURE, receiver.url, format=format_name, include_output=True, **settings)
        if way == "deferred":
            for _ in range(3):
                account.targets.record_failure(target, 503, "answered 503", slow=False, now=world.now)
            world.paused.add("redeliverer")
        world.send(finished(account.alias, log="s3cret disk", backupFinishedDate=world.now.isoformat()))
        world.run(until=world.now + timedelta(seconds=2))
        before = len(receiver.posts)
        account.targets.change(account.alias, lambda seen: [replace(seen.targets[0], include_output=False)])
        world.paused.clear()
        world.now += timedelta(minutes=1)
        if way == "replay":
            world.functions.api.replays.undelivered_since(account.alias, world.now - timedelta(days=1))
        world.run(until=world.now + timedelta(hours=2))

    later = receiver.posts[before:]
    assert len(later) >= 1
    assert [b"s3cret" in post.body for post in later] == [False] * len(later)


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
