"""The programs of docs/webhooks.md with posts of the real sender: genuine, altered, old, with several signatures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from copy import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from backup_webhooks.deliveries.attempt import post
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.messages import EventType
from backup_webhooks.posting.sender import AttemptResult, Sender
from backup_webhooks.targets.signing import OVERLAP, SigningSecret, new_secret, rotated
from backup_webhooks.targets.target import Target

from local.receiver import Post, Receiver
from local.targets import save_target
from tests.integration.conftest import Account, Invoke
from tests.support.golden_payloads import example
from tests.support.messages import finished
from tests.support.receivers import NEEDS, Programs, is_there

FAILURE = EventType.FAILURE


def in_each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "language",
        [
            pytest.param(
                one, marks=pytest.mark.skipif(not is_there(one), reason=f"no {NEEDS[one].rpartition('/')[2]} here")
            )
            for one in languages
        ],
    )


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


@pytest.fixture
def secret() -> SigningSecret:
    return new_secret()


def posted(url: str, *secrets: SigningSecret, made: timedelta = timedelta(0), **changes: str) -> AttemptResult:
    """Post a failure as the functions do, signed at that time from now."""
    target = Target("TEST", [FAILURE], url, "0123456789abcdef", secrets=secrets)
    delivery = Delivery.of(example("backup-failed.json", **changes), target)
    return post(Sender(allow_private_targets=True), delivery, target, datetime.now(UTC) + made)


def received(secrets: Sequence[SigningSecret], made: timedelta = timedelta(0)) -> Post:
    """Return such a post as it arrives, with text beyond ASCII in it."""
    with Receiver() as receiver:
        posted(receiver.url, *secrets, made=made, accountPolicyName="Jede Nacht für שרת")
    return receiver.posts[0]


def with_headers(post: Post, **headers: str) -> Post:
    return replace(post, headers={**post.headers, **{f"webhook-{name}": value for name, value in headers.items()}})


@in_each("python", "node", "sh")
class TestCheck:
    def test_a_post_of_the_notifier_is_genuine(
        self, programs: Programs, language: str, account: Account, notifier: Invoke, receiver: Receiver
    ) -> None:
        shown = save_target(account.targets, Target(account.alias, [FAILURE], receiver.url))
        assert shown

        notifier(finished(account.alias))

        (arrived,) = receiver.posts
        assert programs.is_genuine(language, shown.value, arrived)
        assert not programs.is_genuine(language, new_secret().value, arrived)

    @pytest.mark.parametrize(("seconds", "genuine"), [(-400, False), (-200, True), (200, True), (400, False)])
    def test_a_post_is_genuine_for_five_minutes(
        self, programs: Programs, language: str, secret: SigningSecret, seconds: int, genuine: bool
    ) -> None:
        arrived = received([secret], timedelta(seconds=seconds))

        assert programs.is_genuine(language, secret.value, arrived) is genuine

    def test_during_a_rotation_old_and_new_check_it_and_after_it_only_the_new(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        new, now = new_secret(), datetime.now(UTC)
        during = received(rotated([secret], new, now, OVERLAP))
        after = received(rotated([secret], new, now - OVERLAP, OVERLAP))

        known = (secret.value, new.value)
        assert [programs.is_genuine(language, one, during) for one in known] == [True, True]
        assert [programs.is_genuine(language, one, after) for one in known] == [False, True]

    def test_a_post_that_was_altered_is_not_genuine(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        arrived = received([secret])
        signature = arrived.headers["webhook-signature"]
        later = str(int(arrived.headers["webhook-timestamp"]) + 1)

        altered = {
            "body": replace(arrived, body=arrived.body.replace(b"FAILED", b"SUCCESS")),
            "id": with_headers(arrived, id="msg_0"),
            "timestamp": with_headers(arrived, timestamp=later),
            "none": replace(arrived, headers={"content-type": "application/json"}),
            "empty": with_headers(arrived, signature=""),
            "cut": with_headers(arrived, signature=signature[:-1]),
            "version": with_headers(arrived, signature=signature.replace("v1,", "v2,")),
            "no version": with_headers(arrived, signature=signature.removeprefix("v1,")),
        }

        assert [name for name, one in altered.items() if programs.is_genuine(language, secret.value, one)] == []

    @pytest.mark.parametrize(
        "timestamp", ["", "now", "-1", "1e9", "0x10", "08", " 1", "1 ", "1.5", "²", "9" * 5000, "*", "$(exit 0)"]
    )
    def test_an_invalid_timestamp_is_not_genuine(
        self, programs: Programs, language: str, secret: SigningSecret, timestamp: str
    ) -> None:
        arrived = with_headers(received([secret]), timestamp=timestamp)

        assert not programs.is_genuine(language, secret.value, arrived)

    def test_signatures_of_other_kinds_are_ignored(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        arrived = received([secret])
        others = "v1a,AAAA * é"

        assert programs.is_genuine(
            language, secret.value, with_headers(arrived, signature=f"{others} {arrived.headers['webhook-signature']}")
        )


@in_each("python", "node")
class TestEndpoint:
    def test_it_takes_a_genuine_post_once_and_nothing_else(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        with programs.endpoint(language, secret.value) as endpoint:
            answers = [
                posted(endpoint.url, secret),
                posted(endpoint.url, secret, made=timedelta(seconds=2)),
                posted(endpoint.url, new_secret(), secret, restorePointId="another"),
                posted(endpoint.url, new_secret()),
                posted(endpoint.url, secret, made=timedelta(seconds=-400)),
            ]

        assert [one.status for one in answers] == [204, 204, 204, 401, 401]
        assert [line.split("  -  ")[4] for line in endpoint.printed] == [
            "Restore Point Id: 3f68fa31-731e-4c77-bbc1-8892ec8667e4",
            "Restore Point Id: another",
        ]

    def test_a_client_that_disconnects_midway_stops_no_other(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        with programs.endpoint(language, secret.value) as endpoint:
            gone = HTTPConnection(str(urlsplit(endpoint.url).netloc))
            gone.putrequest("POST", "/")
            gone.putheader("content-length", "1000")
            gone.endheaders(b"{")
            gone.close()

            assert posted(endpoint.url, secret).status == 204

    @pytest.mark.skipif(not (is_there("sh") and shutil.which("curl")), reason="no openssl or curl here")
    def test_it_can_be_tried_before_anything_is_set(
        self, programs: Programs, language: str, secret: SigningSecret
    ) -> None:
        with programs.endpoint(language, secret.value) as endpoint:
            right = programs.try_endpoint(secret.value, endpoint.url)
            wrong = programs.try_endpoint(new_secret().value, endpoint.url)

        assert (right, wrong) == ("204\n", "401\n")
        assert [line.split("  -  ")[2] for line in endpoint.printed] == ["Server: TEST-MESSAGE"]


@pytest.mark.skipif(not (is_there("sh") and shutil.which("curl")), reason="no openssl or curl here")
def test_the_script_posts_what_the_sender_would(programs: Programs, secret: SigningSecret) -> None:
    with Receiver() as receiver:
        programs.try_endpoint(secret.value, receiver.url)
    (tried,), ours = receiver.posts, received([secret])

    assert programs.is_genuine("python", secret.value, tried)
    assert list(json.loads(tried.body)) == list(json.loads(ours.body))
    shown = {name for name in tried.headers if name.startswith("webhook-") or name == "content-type"}
    assert shown == {name for name in ours.headers if name.startswith("webhook-") or name == "content-type"}
    assert [len(tried.headers[name]) for name in sorted(shown)] == [len(ours.headers[name]) for name in sorted(shown)]
