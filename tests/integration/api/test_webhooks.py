"""The API's events and targets, as the platform's clients and the page use them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

import pytest
from backup_webhooks.api.services import services
from backup_webhooks.events.messages import EventType
from backup_webhooks.posting.address_guard import Address
from backup_webhooks.targets.preferences import Preferences, QuietHours
from standardwebhooks import Webhook

from local.receiver import Post, Receiver
from tests.integration.conftest import Account
from tests.support.api import Answer, Client, of_account

FAILURE = EventType.FAILURE
REPRESENTATION = {"prefer": "return=representation"}


def url(number: int = 1) -> str:
    return f"https://hooks.example/services/T000/B000/{number}"


def event_path(account: Account, *steps: str, event: str = FAILURE) -> str:
    return of_account(account.alias, event, "configuration", *steps)


def targets(answer: Answer) -> dict[str, Any]:
    """Return the targets in an event's representation, by URL."""
    assert answer.status == 200, answer.text
    return {one["targetUri"]: one for one in answer.json["configuration"]["targetUris"]}


class TestEvents:
    def test_an_account_without_targets_has_all_events_under_the_faqs_labels_and_three_of_our_own(
        self, account: Account, client: Client
    ) -> None:
        answer = client.get(of_account(account.alias))

        assert answer.status == 200
        assert [(item["name"], item["label"]) for item in answer.json["items"]] == [
            ("Backup.Failure", "Backup Failure"),
            ("Backup.PartialSuccess", "Backup Partial Success"),
            ("Backup.Missing", "Missing Backups"),
            ("Backup.Success", "Backup Success"),
            ("Backup.Recovered", "Backup Recovered"),
            ("Backup.Unfinished", "Unfinished Backups"),
            ("Backup.Stale", "Stale Backups"),
        ]
        assert all(item["configuration"] == {"recursive": False, "targetUris": []} for item in answer.json["items"])
        assert answer.json["links"][0] == {"rel": "self", "href": of_account(account.alias)}

    def test_a_client_of_the_platform_puts_adds_and_removes_targets(self, account: Account, client: Client) -> None:
        put = client.put(event_path(account), {"recursive": False, "targetUris": [{"targetUri": url(1)}]})
        added = client.post(event_path(account, "targetUris"), {"targetUri": url(2)})

        assert (put.status, put.text, added.status) == (204, "", 204)
        assert set(targets(client.get(of_account(account.alias, FAILURE)))) == {url(1), url(2)}

        assert client.delete(event_path(account, "targetUris"), targetUri=url(1)).status == 204
        assert [one["targetUri"] for one in client.get(event_path(account)).json["targetUris"]] == [url(2)]
        assert client.delete(event_path(account)).status == 204
        assert client.get(event_path(account)).json["targetUris"] == []

    def test_the_notifier_posts_to_the_url_that_is_set(self, account: Account, client: Client) -> None:
        wanted = {
            "targetUri": url(),
            "format": "detailed",
            "delivery": "retry",
            "enabled": False,
            "headers": {"X-Team": "night"},
        }
        client.put(event_path(account), {"targetUris": [wanted]})

        target = account.target()
        assert (target.url, target.format, str(target.delivery), target.enabled, target.headers) == (
            url(),
            "detailed",
            "retry",
            False,
            {"X-Team": "night"},
        )

    def test_settings_that_a_put_leaves_out_stay_as_they_are(self, account: Account, client: Client) -> None:
        account.set_target(FAILURE, url(), format="detailed", enabled=False, headers={"x-a": "b"})

        client.put(event_path(account), {"targetUris": [{"targetUri": url()}, {"targetUri": url(2)}]})

        kept = next(target for target in account.targets.load(account.alias).targets if target.url == url())
        assert (kept.format, kept.enabled, kept.headers) == ("detailed", False, {"x-a": "b"})

    def test_what_was_read_can_be_put_back(self, account: Account, client: Client) -> None:
        account.set_target(FAILURE, url(), headers={"x-a": "s3cret"})
        read = client.get(event_path(account)).json

        assert client.put(event_path(account), read).status == 204
        assert account.target().headers == {"x-a": "s3cret"}

    def test_a_patch_changes_only_what_it_names(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, url(), format="detailed", headers={"x-a": "b"})

        answer = client.patch(event_path(account, "targetUris", target.target_id), {"enabled": False})

        assert answer.status == 204
        stored = account.target()
        assert (stored.enabled, stored.format, stored.headers) == (False, "detailed", {"x-a": "b"})


class TestOneTargetOfManyEvents:
    """The platform's API is a view: a URL that is put for a second event is the same target, with one secret."""

    def test_a_url_that_is_put_for_another_event_is_the_same_target_with_the_same_secret(
        self, account: Account, client: Client
    ) -> None:
        client.put(event_path(account), {"targetUris": [{"targetUri": url(), "format": "detailed"}]})
        first = account.target()

        spelt_otherwise = {"targetUri": url().replace("https://hooks", "HTTPS://Hooks")}
        client.put(event_path(account, event=EventType.SUCCESS), {"targetUris": [spelt_otherwise]})

        second = account.target()
        assert second.event_types == (FAILURE, EventType.SUCCESS)
        assert (second.target_id, second.secrets, second.format) == (first.target_id, first.secrets, "detailed")
        assert targets(client.get(of_account(account.alias, EventType.SUCCESS)))[url()]["events"] == [
            "Backup.Failure",
            "Backup.Success",
        ]

    @pytest.mark.parametrize("method", ["PUT", "DELETE one", "DELETE all"])
    def test_a_url_that_is_removed_loses_this_event_and_keeps_the_others(
        self, account: Account, client: Client, method: str
    ) -> None:
        both, alone = url(1), url(2)
        for event in (FAILURE, EventType.SUCCESS):
            client.post(event_path(account, "targetUris", event=event), {"targetUri": both})
        client.post(event_path(account, "targetUris"), {"targetUri": alone})

        if method == "PUT":
            client.put(event_path(account), {"targetUris": []})
        elif method == "DELETE all":
            client.delete(event_path(account))
        else:
            assert client.delete(event_path(account, "targetUris"), targetUri=both + "#x").status == 204
            assert client.delete(event_path(account, "targetUris"), targetUri=alone).status == 204

        left = account.target()
        assert (left.url, left.event_types) == (both, (EventType.SUCCESS,))

    def test_a_target_is_addressed_only_below_an_event_that_it_names(self, account: Account, client: Client) -> None:
        target = account.set_target(EventType.SUCCESS, url())
        one = event_path(account, "targetUris", target.target_id)

        assert client.patch(one, {"enabled": False}).status == 404
        assert client.post(f"{one}/test").status == 404
        assert client.post(f"{one}/secret", {}).status == 404
        assert client.delete(event_path(account, "targetUris"), targetUri=url()).status == 404

    def test_a_change_of_a_target_is_a_new_version_of_each_of_its_events_and_of_no_other(
        self, account: Account, client: Client
    ) -> None:
        for event in (FAILURE, EventType.SUCCESS):
            client.post(event_path(account, "targetUris", event=event), {"targetUri": url()})
        etags = {event: client.get(event_path(account, event=event)).headers["etag"] for event in EventType}

        client.patch(event_path(account, "targetUris", account.target().target_id), {"format": "detailed"})

        after = {event: client.get(event_path(account, event=event)).headers["etag"] for event in EventType}
        assert {event for event in EventType if after[event] != etags[event]} == {FAILURE, EventType.SUCCESS}

    def test_recursive_is_of_each_target_that_does_not_say_it_itself(self, account: Account, client: Client) -> None:
        own = {"targetUri": url(2), "recursive": False}
        client.put(event_path(account), {"recursive": True, "targetUris": [{"targetUri": url(1)}, own]})
        configuration = client.get(event_path(account)).json
        assert configuration["recursive"] is False
        assert sorted(one["recursive"] for one in configuration["targetUris"]) == [False, True]

        client.put(event_path(account), {"targetUris": [{"targetUri": url(1)}]})
        assert client.get(event_path(account)).json["recursive"] is True
        client.put(event_path(account), {"recursive": False, "targetUris": [{"targetUri": url(1)}]})
        assert account.target().recursive is False

    def test_at_most_five_are_put_through_it_and_more_are_shown(self, account: Account, client: Client) -> None:
        for number in range(6):
            account.set_target(FAILURE, url(number))

        assert len(client.get(event_path(account)).json["targetUris"]) == 6
        add = event_path(account, "targetUris")
        assert client.post(add, {"targetUri": url(0), "enabled": False}).status == 204
        assert list(client.post(add, {"targetUri": url(7)}).errors) == ["targetUris"]


class TestPreferences:
    PREFERENCES: ClassVar[dict[str, Any]] = {
        "changesOnly": True,
        "remindHours": 24,
        "quietHours": {"from": "22:00", "until": "07:00", "timezone": "Europe/Berlin"},
        "group": True,
    }
    NONE: ClassVar[dict[str, Any]] = {"group": False, "changesOnly": False, "remindHours": None, "quietHours": None}

    def test_by_default_all_is_sent(self, account: Account, client: Client) -> None:
        put = client.put(event_path(account), {"targetUris": [{"targetUri": url()}]}, **REPRESENTATION)

        assert targets(put)[url()]["preferences"] == self.NONE

    def test_the_notifier_reads_what_is_set_and_other_changes_keep_it(self, account: Account, client: Client) -> None:
        client.put(event_path(account), {"targetUris": [{"targetUri": url(), "preferences": self.PREFERENCES}]})
        patched = client.patch(
            event_path(account, "targetUris", account.target().target_id), {"format": "detailed"}, **REPRESENTATION
        )

        assert targets(patched)[url()]["preferences"] == self.PREFERENCES
        assert account.target().preferences == Preferences(
            changes_only=True,
            remind_hours=24,
            quiet_hours=QuietHours(time(22), time(7), "Europe/Berlin"),
            group=True,
        )

    def test_it_is_replaced_as_a_whole(self, account: Account, client: Client) -> None:
        account.set_target(FAILURE, url(), preferences=Preferences(changes_only=True, remind_hours=24))

        client.patch(event_path(account, "targetUris", account.target().target_id), {"preferences": {}})

        assert account.target().preferences == Preferences()

    @pytest.mark.parametrize(
        ("preferences", "field", "allowed"),
        [
            ({"remindHours": 24}, "preferences.remindHours", "changesOnly"),
            ({"changesOnly": True, "remindHours": 0}, "preferences.remindHours", "1"),
            ({"changesOnly": "yes"}, "preferences.changesOnly", "boolean"),
            ({"quietHours": {"from": "22:00", "until": "22:00"}}, "preferences.quietHours.until", "differ"),
            ({"quietHours": {"from": "24:00", "until": "07:00"}}, "preferences.quietHours.from", "pattern"),
            ({"quietHours": {"from": "22:00"}}, "preferences.quietHours.until", "required"),
            (
                {"quietHours": {"from": "22:00", "until": "07:00", "timezone": "CEST+1"}},
                "preferences.quietHours.timezone",
                "IANA",
            ),
            ({"quietHour": {}}, "preferences.quietHour", ""),
        ],
    )
    def test_an_invalid_preference_names_its_field(
        self, account: Account, client: Client, preferences: dict[str, Any], field: str, allowed: str
    ) -> None:
        answer = client.put(event_path(account), {"targetUris": [{"targetUri": url(), "preferences": preferences}]})

        assert answer.status == 422
        assert list(answer.errors) == [f"targetUris[0].{field}"]
        assert allowed in answer.errors[f"targetUris[0].{field}"]


class TestSecrets:
    def test_a_new_targets_secret_is_returned_only_in_the_answer_that_adds_it(
        self, account: Account, client: Client
    ) -> None:
        body = {"targetUris": [{"targetUri": url()}]}

        first = targets(client.put(event_path(account), body, **REPRESENTATION))[url()]["secret"]
        again = targets(client.put(event_path(account), body, **REPRESENTATION))[url()]["secret"]

        assert first == account.target().secrets[0].value
        assert again is None
        for path in (of_account(account.alias), of_account(account.alias, FAILURE), event_path(account)):
            assert "whsec_" not in client.get(path).text

    def test_values_of_headers_are_not_returned_and_null_keeps_them(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, url(), headers={"authorization": "Bearer s3cret", "x-old": "gone"})
        path = event_path(account, "targetUris", target.target_id)

        assert "s3cret" not in client.get(of_account(account.alias)).text
        client.patch(path, {"headers": {"Authorization": None, "x-new": "1"}})

        assert account.target().headers == {"Authorization": "Bearer s3cret", "x-new": "1"}
        assert client.patch(path, {"headers": {"x-none": None}}).errors == {
            "headers['x-none']": "null keeps the value that is stored, and none is"
        }

    def test_after_a_rotation_the_new_and_the_old_secret_are_current(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, url())
        path = event_path(account, "targetUris", target.target_id, "secret")

        answer = client.post(path, {"overlapHours": 2})

        assert answer.status == 200
        assert answer.json["secret"] == account.target().secrets[0].value
        newest, old = answer.json["secrets"]
        assert newest == {"expiresAt": None}
        ends_in = datetime.fromisoformat(old["expiresAt"]) - datetime.now(UTC)
        assert timedelta(hours=1, minutes=59) < ends_in <= timedelta(hours=2)

    def test_so_many_rotations_that_one_must_wait_are_a_conflict(self, account: Account, client: Client) -> None:
        target = account.set_target(FAILURE, url())
        path = event_path(account, "targetUris", target.target_id, "secret")

        statuses = [client.post(path, {}).status for _ in range(10)]

        assert statuses == [200] * 9 + [409]

    @pytest.mark.parametrize("overlap", [-1, 168.5, "24", None, True])
    def test_an_overlap_beyond_seven_days_or_that_is_no_number_is_refused(
        self, account: Account, client: Client, overlap: Any
    ) -> None:
        target = account.set_target(FAILURE, url())

        answer = client.post(event_path(account, "targetUris", target.target_id, "secret"), {"overlapHours": overlap})

        assert list(answer.errors) == ["overlapHours"]
        assert len(account.target().secrets) == 1


class TestTwoPeople:
    def test_a_change_to_an_older_version_is_refused_until_the_new_one_is_read(
        self, account: Account, client: Client
    ) -> None:
        seen = client.get(event_path(account)).headers["etag"]
        first = client.put(event_path(account), {"targetUris": [{"targetUri": url(1)}]}, if_match=seen)
        second = client.put(event_path(account), {"targetUris": [{"targetUri": url(2)}]}, if_match=seen)

        assert (first.status, second.status) == (204, 412)
        assert account.target().url == url(1)
        third = client.put(event_path(account), {"targetUris": [{"targetUri": url(2)}]}, if_match=first.headers["etag"])
        assert third.status == 204
        assert account.target().url == url(2)

    @pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE one", "DELETE all"])
    def test_each_change_can_be_made_on_condition(self, account: Account, client: Client, method: str) -> None:
        target = account.set_target(FAILURE, url())
        before = account.targets.load(account.alias)
        stale = {"if-match": '"0.0"'}
        one = event_path(account, "targetUris")
        answer = {
            "POST": lambda: client.request("POST", one, {"targetUri": url(2)}, stale),
            "PATCH": lambda: client.request("PATCH", f"{one}/{target.target_id}", {"enabled": False}, stale),
            "DELETE one": lambda: client.request("DELETE", one, None, stale, targetUri=url()),
            "DELETE all": lambda: client.request("DELETE", event_path(account), None, stale),
        }[method]()

        assert answer.status == 412
        assert account.targets.load(account.alias) == before


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "field", "reason"),
        [
            ({"targetUri": "ftp://example.com"}, "targetUri", "must begin with https:// or http://"),
            ({"targetUri": "https://user:secret@example.com"}, "targetUri", "user name and password"),
            ({"targetUri": "https://"}, "targetUri", "host is missing"),
            ({"targetUri": "x" * 2049}, "targetUri", "at most 2048"),
            ({"targetUri": 7}, "targetUri", "valid string"),
            ({}, "targetUri", "required"),
            ({"targetUri": url(), "format": "xml"}, "format", "allowed: text, detailed"),
            ({"targetUri": url(), "delivery": "twice"}, "delivery", "'once' or 'retry'"),
            ({"targetUri": url(), "enabled": "yes"}, "enabled", "boolean"),
            ({"targetUri": url(), "enable": True}, "enable", "not permitted"),
            ({"targetUri": url(), "target_uri": url()}, "target_uri", "not permitted"),
            ({"targetUri": url(), "headers": {"Host": "x"}}, "headers['Host']", "not allowed"),
            ({"targetUri": url(), "headers": {"x-a": "é"}}, "headers['x-a']", "printable ASCII"),
            ({"targetUri": url(), "headers": {"x-a": 1}}, "headers.x-a", "valid string"),
        ],
    )
    def test_an_invalid_target_names_its_field_and_what_is_allowed(
        self, account: Account, client: Client, target: dict[str, Any], field: str, reason: str
    ) -> None:
        answer = client.put(event_path(account), {"targetUris": [{"targetUri": url(9)}, target]})

        assert answer.status == 422
        assert list(answer.errors) == [f"targetUris[1].{field}"]
        assert reason in answer.errors[f"targetUris[1].{field}"]
        assert account.targets.load(account.alias).targets == []

    def test_a_sixth_target_is_refused(self, account: Account, client: Client) -> None:
        six = [{"targetUri": url(number)} for number in range(6)]

        assert "at most 5" in client.put(event_path(account), {"targetUris": six}).errors["targetUris"]
        assert client.put(event_path(account), {"targetUris": six[:5]}).status == 204
        assert "targetUris" in client.post(event_path(account, "targetUris"), six[5]).errors

    @pytest.mark.parametrize("body", [b"", b"{", b'{"targetUris":[NaN]}', b"\xff\xfe", b"[" * 60_000, b"null", b"[]"])
    def test_a_body_of_other_json_is_refused(self, account: Account, client: Client, body: bytes) -> None:
        answer = client.request("PUT", event_path(account), body)

        assert answer.status == 422
        assert answer.errors

    @pytest.mark.parametrize(
        "body", [{"targetUris": [{}] * 20_000}, {"targetUris": [{"targetUri": url(), "headers": {"x": "y" * 70_000}}]}]
    )
    def test_a_body_that_is_too_large_is_refused(self, account: Account, client: Client, body: Any) -> None:
        answer = client.put(event_path(account), body)

        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")

    def test_of_many_errors_the_first_are_named(self, account: Account, client: Client) -> None:
        answer = client.put(event_path(account), {"targetUris": [], **{f"x{number}": 1 for number in range(500)}})

        assert len(answer.errors) == 20

    def test_hosts_are_looked_up_once_at_the_same_time_and_only_those_that_are_new(
        self, account: Account, client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account.set_target(FAILURE, "https://stored.example/")
        client = client_of(account.alias, ALLOW_PRIVATE_TARGETS="false")
        together = threading.Barrier(4, timeout=60)
        asked = []

        def resolve(host: str, port: int) -> list[Address]:
            asked.append(host)
            together.wait()
            return [(socket.AF_INET, "93.184.216.34")]

        hosts = replace(services().hosts, resolver=resolve)
        monkeypatch.setattr("backup_webhooks.api.target_edits.services", lambda: replace(services(), hosts=hosts))
        new = [f"https://new{number}.example/" for number in range(4)]
        body = {"targetUris": [{"targetUri": uri} for uri in ("https://stored.example/", *new)]}

        assert client.put(event_path(account), body).status == 204
        assert sorted(asked) == [f"new{number}.example" for number in range(4)]

    def test_a_body_of_another_type_is_refused(self, account: Account, client: Client) -> None:
        assert client.request("PUT", event_path(account), b"<x/>", {"content-type": "text/xml"}).status == 415

    @pytest.mark.parametrize(
        "address", ["169.254.169.254", "10.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "[::ffff:10.0.0.1]"]
    )
    def test_a_url_that_the_sender_would_refuse_is_refused_when_it_is_saved(
        self, account: Account, client_of: Callable[..., Client], address: str
    ) -> None:
        client = client_of(account.alias, ALLOW_PRIVATE_TARGETS="false")

        answer = client.post(event_path(account, "targetUris"), {"targetUri": f"http://{address}/latest"})

        assert answer.errors == {
            "targetUri": "the host leads to an address that is not on the public internet, where it must be"
        }
        assert account.targets.load(account.alias).targets == []

    def test_a_public_address_is_saved_with_the_guard_in_place(
        self, account: Account, client_of: Callable[..., Client]
    ) -> None:
        client = client_of(account.alias, ALLOW_PRIVATE_TARGETS="false")

        assert client.post(event_path(account, "targetUris"), {"targetUri": "https://1.1.1.1/"}).status == 204

    @pytest.mark.parametrize("steps", [("Backup.Unknown",), ("Backup.Unknown", "configuration"), ("x", "y", "z")])
    def test_an_unknown_path_is_not_found(self, account: Account, client: Client, steps: tuple[str, ...]) -> None:
        answer = client.get(of_account(account.alias, *steps))

        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")

    @pytest.mark.parametrize("action", ["test", "secret", "patch", "delete"])
    def test_an_unknown_target_is_not_found(self, account: Account, client: Client, action: str) -> None:
        one = event_path(account, "targetUris", "0" * 16)
        answer = {
            "test": lambda: client.post(f"{one}/test"),
            "secret": lambda: client.post(f"{one}/secret", {}),
            "patch": lambda: client.patch(one, {"enabled": False}),
            "delete": lambda: client.delete(event_path(account, "targetUris"), targetUri=url()),
        }[action]()

        assert answer.status == 404


class TestTestSends:
    @pytest.mark.parametrize("event", list(EventType))
    def test_the_target_gets_a_signed_test_event_and_its_answer_is_returned(
        self, account: Account, client: Client, event: EventType
    ) -> None:
        with Receiver() as receiver:
            added = client.put(
                event_path(account, event=event),
                {"targetUris": [{"targetUri": receiver.url, "headers": {"x-team": "night"}}]},
                **REPRESENTATION,
            )
            target = targets(added)[receiver.url]
            answer = client.post(event_path(account, "targetUris", target["targetId"], "test", event=event))

        assert answer.status == 200
        outcome = answer.json
        assert (outcome["delivered"], outcome["status"], outcome["reason"], outcome["response"]) == (
            True,
            200,
            None,
            "ok",
        )
        (post,) = receiver.posts
        assert post.body.decode() == outcome["body"]
        assert post.headers["x-team"] == "night"
        Webhook(target["secret"]).verify(post.body.decode(), dict(post.headers))
        assert "TEST-MESSAGE" in json.loads(post.body)["text"]
        # The FAQ's sentence of a miss names no account, nor do those in its manner.
        names_account = event in (EventType.FAILURE, EventType.PARTIAL_SUCCESS, EventType.SUCCESS)
        assert (account.alias in outcome["body"]) is names_account
        assert account.deliveries(datetime.now(UTC).date().isoformat()) == []

    def test_a_target_that_fails_says_why_and_its_health_stays(self, account: Account, client: Client) -> None:
        def refuse(_: Post) -> int:
            return 503

        with Receiver(refuse) as receiver:
            target = account.set_target(FAILURE, receiver.url)
            answer = client.post(event_path(account, "targetUris", target.target_id, "test"))
        refusing = account.set_target(FAILURE, "http://127.0.0.1:9/")
        dead = client.post(event_path(account, "targetUris", refusing.target_id, "test"))

        assert (answer.json["delivered"], answer.json["status"], answer.json["reason"]) == (False, 503, "answered 503")
        assert (dead.json["status"], dead.json["reason"]) == (None, "connection refused")
        assert {one.health.consecutive_failures for one in account.targets.load(account.alias).targets} == {0}

    def test_the_address_guard_applies_to_a_test_too(self, account: Account, client_of: Callable[..., Client]) -> None:
        with Receiver() as receiver:
            target = account.set_target(FAILURE, receiver.url)
            client = client_of(account.alias, ALLOW_PRIVATE_TARGETS="false")
            answer = client.post(event_path(account, "targetUris", target.target_id, "test"))

        assert "not on the public internet" in answer.json["reason"]
        assert receiver.posts == []


def test_health_is_shown_with_its_reason(account: Account, client: Client) -> None:
    target = account.set_target(FAILURE, url())
    failing = account.targets.record_failure(target, 410, "answered 410", slow=False, now=datetime.now(UTC))
    assert failing
    assert targets(client.get(of_account(account.alias, FAILURE)))[url()]["health"]["state"] == "failing"
    account.targets.switch_off(failing, "answered 410 Gone", datetime.now(UTC))

    shown = targets(client.get(of_account(account.alias, FAILURE)))[url()]

    assert shown["enabled"] is False
    assert (shown["health"]["state"], shown["health"]["switchedOffReason"]) == ("switchedOff", "answered 410 Gone")
