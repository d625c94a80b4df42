"""Recipients of e-mail about an account's backups: how they are set, stored, refused and returned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore, report_key

from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.api import Answer, Client, of_account
from tests.support.fault_proxy import Answer as AwsAnswer
from tests.support.fault_proxy import Call, FaultProxy, internal_server_error

NO_SETTINGS = {
    "recipients": [],
    "hour": 7,
    "timezone": "UTC",
    "nextReportAt": None,
    "sendsEmail": True,
    "mostRecipients": 20,
    "etag": '"0"',
}


def recipient(address: str, **settings: Any) -> dict[str, Any]:
    """Return a recipient as the API does."""
    return {"address": address, "report": "daily", "onFailure": False, "onMissing": False} | settings


@pytest.fixture
def path(account: Account) -> str:
    return of_account(account.alias, "reportRecipients")


@pytest.fixture
def store(stack: Stack) -> ReportSettingsStore:
    return ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


class TestSettings:
    def test_without_settings_no_email_is_sent(self, client: Client, path: str) -> None:
        answer = client.get(path)

        assert (answer.status, answer.headers["etag"]) == (200, '"0"')
        assert answer.json == NO_SETTINGS

    def test_all_that_is_set_is_returned(self, client: Client, path: str) -> None:
        recipients = [
            recipient("a@b.example", report="weekly", onFailure=True),
            recipient("c@d.example", report="none", onMissing=True),
        ]
        wanted = {"recipients": recipients, "hour": 0, "timezone": "Europe/Berlin"}

        answer = client.put(path, wanted)

        assert (answer.status, answer.text, answer.headers["etag"]) == (204, "", '"1"')
        shown = client.get(path)
        assert shown.headers["etag"] == shown.json["etag"] == '"1"'
        assert {name: shown.json[name] for name in wanted} == wanted

    def test_a_new_recipient_gets_the_daily_report_if_nothing_else_is_said(self, client: Client, path: str) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}]})

        assert client.get(path).json["recipients"] == [recipient("a@b.example")]

    def test_settings_that_are_left_out_stay_as_they_are(self, client: Client, path: str) -> None:
        kept = recipient("a@b.example", report="weekly", onFailure=True, onMissing=True)
        client.put(path, {"recipients": [kept], "hour": 23, "timezone": "Asia/Kathmandu"})

        client.put(path, {"recipients": [{"address": "new@b.example"}, {"address": "a@b.example", "onMissing": False}]})

        shown = client.get(path).json
        assert shown["recipients"] == [recipient("new@b.example"), kept | {"onMissing": False}]
        assert (shown["hour"], shown["timezone"]) == (23, "Asia/Kathmandu")

    def test_what_was_read_may_be_put_back(self, client: Client, path: str) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}]})
        shown = client.get(path).json

        assert client.put(path, shown).status == 204
        assert client.get(path).json == shown | {"etag": '"2"'}

    def test_a_change_returns_what_is_stored_if_asked_for(self, client: Client, path: str) -> None:
        answer = client.put(path, {"recipients": [{"address": "a@b.example"}]}, prefer="return=representation")

        assert (answer.status, answer.headers["etag"]) == (200, '"1"')
        assert answer.json == client.get(path).json

    def test_an_operator_sets_them_too(self, account: Account, client_of: Callable[..., Client], path: str) -> None:
        client_of(account.alias).put(path, {"recipients": [{"address": "a@b.example"}]})
        operator = client_of("*")

        assert operator.put(path, {"recipients": []}).status == 204
        assert operator.get(path).json["recipients"] == []
        assert operator.get(of_account("NOSUCH", "reportRecipients")).status == 404

    def test_recipients_are_not_targets(self, account: Account, client: Client, path: str) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}]})

        assert account.targets.load(account.alias).targets == []
        assert client.get(of_account(account.alias)).status == 200


class TestVersions:
    def test_they_are_set_as_a_whole_and_by_one_person_at_a_time(self, client: Client, path: str) -> None:
        seen = client.get(path).headers["etag"]
        both = [{"address": "a@b.example"}, {"address": "c@d.example"}]

        first = client.put(path, {"recipients": both}, if_match=seen)
        second = client.put(path, {"recipients": []}, if_match=seen)

        assert (first.status, second.status) == (204, 412)
        assert client.get(path).json["recipients"] == [recipient("a@b.example"), recipient("c@d.example")]
        assert client.put(path, {"recipients": []}, if_match='""').status == 412
        assert client.put(path, {"recipients": []}, if_match=first.headers["etag"]).status == 204
        assert client.get(path).json["recipients"] == []

    def test_another_change_does_not_bring_an_unsubscribed_recipient_back(
        self, account: Account, client: Client, path: str, store: ReportSettingsStore
    ) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}]})
        seen = client.get(path)
        store.unsubscribe(account.alias, store.load(account.alias).recipients[0].unsubscribe_token)

        assert client.put(path, seen.json, if_match=seen.headers["etag"]).status == 412

    def test_an_answer_that_was_lost_is_no_conflict(
        self, account: Account, client_of: Callable[..., Client], dynamodb_proxy: FaultProxy, path: str
    ) -> None:
        lost = []

        def lose_first(call: Call) -> AwsAnswer:
            answer = call.forward()
            if call.operation == "UpdateItem" and not lost:
                lost.append(call)
                return internal_server_error()
            return answer

        dynamodb_proxy.behaviour = lose_first
        client = client_of(account.alias, AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

        assert client.put(path, {"recipients": [{"address": "a@b.example"}]}, if_match='"0"').status == 204
        assert lost
        assert client.get(path).json["recipients"] == [recipient("a@b.example")]

    @pytest.mark.parametrize(("others", "status"), [(2, 204), (1000, 409)], ids=["now and then", "without end"])
    def test_without_a_condition_the_last_one_wins(
        self,
        account: Account,
        store: ReportSettingsStore,
        client_of: Callable[..., Client],
        dynamodb_proxy: FaultProxy,
        path: str,
        others: int,
        status: int,
    ) -> None:
        """The last one keeps what others have set meanwhile and it leaves out."""
        saved = []

        def save_in_between(call: Call) -> AwsAnswer:
            if call.operation == "UpdateItem" and len(saved) < others:
                saved.append(store.save(account.alias, ReportSettings([Recipient("other@b.example")], hour=3)))
            return call.forward()

        dynamodb_proxy.behaviour = save_in_between
        client = client_of(account.alias, AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

        assert client.put(path, {"recipients": [{"address": "a@b.example"}]}).status == status

        stored = store.load(account.alias)
        winner = "a@b.example" if status == 204 else "other@b.example"
        assert ([one.address for one in stored.recipients], stored.hour) == ([winner], 3)


class TestRefusals:
    def refused(self, client: Client, path: str, wanted: dict[str, Any]) -> Answer:
        answer = client.put(path, {"recipients": []} | wanted)
        assert answer.status == 422
        assert client.get(path).json == NO_SETTINGS
        return answer

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "no-domain",
            "a@b@c",
            "a b@c.example",
            "a@b.example\n",
            "a@b.example\r\nBcc: x@y.example",
            "<a@b.example>",
            "a@b.example, c@d.example",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            f"{'a' * 65}@example.com",
            "root@localhost",
            "a@192.0.2.1",
            "a@-b.example",
            "ä@b.example",
            "a@" + "b." * 126 + "example",
            None,
            7,
        ],
    )
    def test_an_invalid_address_is_named_by_its_position(self, client: Client, path: str, address: Any) -> None:
        answer = self.refused(client, path, {"recipients": [{"address": "ok@b.example"}, {"address": address}]})

        assert list(answer.errors) == ["recipients[1].address"]
        if isinstance(address, str):
            assert "such as ops@example.com" in answer.errors["recipients[1].address"]

    def test_an_address_is_given_once_whatever_its_case(self, client: Client, path: str) -> None:
        addresses = ["a@b.example", "c@d.example", "A@B.example"]

        answer = self.refused(client, path, {"recipients": [{"address": address} for address in addresses]})

        assert answer.errors == {
            "recipients[2].address": "stands at recipients[0] already: each address may be given once"
        }

    def test_there_are_twenty_at_most(self, client: Client, path: str) -> None:
        addresses = [{"address": f"a{number}@b.example"} for number in range(21)]

        assert "at most 20 items" in self.refused(client, path, {"recipients": addresses}).errors["recipients"]
        assert client.put(path, {"recipients": addresses[:20]}).status == 204

    @pytest.mark.parametrize(
        "zone",
        [
            "",
            "Berlin",
            "europe/berlin",
            "Europe",
            "../../etc/passwd",
            "../zoneinfo/UTC",
            "/usr/share/zoneinfo/UTC",
            "Europe/../Europe/Berlin",
            "posix/Europe/Berlin",
            "right/UTC",
            "posixrules",
            "localtime",
            "Factory",
            "tzdata.zi",
            "UTC\0",
            "UTC ",
            "CET-1CEST",
            "+01:00",
            "x" * 5000,
            7,
        ],
    )
    def test_a_zone_is_one_that_is_known_by_name(self, client: Client, path: str, zone: Any) -> None:
        errors = self.refused(client, path, {"timezone": zone}).errors

        assert list(errors) == ["timezone"]
        if isinstance(zone, str):
            assert errors["timezone"] == "must be an IANA time zone, such as Europe/Berlin or UTC"

    @pytest.mark.parametrize("hour", [-1, 24, 7.5, 7.0, "7", True, 10**30])
    def test_an_hour_is_a_whole_number_from_0_to_23(self, client: Client, path: str, hour: Any) -> None:
        assert list(self.refused(client, path, {"hour": hour}).errors) == ["hour"]

    @pytest.mark.parametrize(
        ("setting", "field"),
        [
            ({"report": "hourly"}, "recipients[0].report"),
            ({"onFailure": "yes"}, "recipients[0].onFailure"),
            ({"onMissing": 1}, "recipients[0].onMissing"),
            ({"onfailure": True}, "recipients[0].onfailure"),
            ({"unsubscribeToken": "x"}, "recipients[0].unsubscribeToken"),
        ],
    )
    def test_a_setting_that_can_not_be_is_named(
        self, client: Client, path: str, setting: dict[str, Any], field: str
    ) -> None:
        assert list(self.refused(client, path, {"recipients": [{"address": "a@b.example"} | setting]}).errors) == [
            field
        ]

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            ({"recipients": ["a@b.example"]}, "recipients[0]"),
            ({"recipients": None}, "recipients"),
            ({"timeZone": "UTC"}, "timeZone"),
            ({"revision": 3}, "revision"),
        ],
    )
    def test_a_body_of_another_shape_is_refused(
        self, client: Client, path: str, wanted: dict[str, Any], field: str
    ) -> None:
        assert list(self.refused(client, path, wanted).errors) == [field]


class TestLinks:
    """Tokens are for the links in the e-mail, and are shown nowhere else."""

    def test_a_recipient_who_stays_keeps_their_token(
        self, account: Account, client: Client, path: str, store: ReportSettingsStore
    ) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}, {"address": "c@d.example"}]})
        first, second = store.load(account.alias).recipients

        client.put(path, {"recipients": [{"address": "C@D.example", "report": "none"}, {"address": "e@f.example"}]})

        kept, new = store.load(account.alias).recipients
        assert (kept.address, kept.unsubscribe_token) == ("C@D.example", second.unsubscribe_token)
        assert len({first.unsubscribe_token, kept.unsubscribe_token, new.unsubscribe_token}) == 3

    def test_they_are_never_returned(
        self, account: Account, client: Client, path: str, store: ReportSettingsStore
    ) -> None:
        answers = [
            client.put(path, {"recipients": [{"address": "a@b.example"}]}, prefer="return=representation"),
            client.get(path),
            client.get(of_account(account.alias)),
        ]

        (stored,) = store.load(account.alias).recipients
        assert not any(stored.unsubscribe_token in answer.text for answer in answers)
        assert not any("token" in answer.text.lower() for answer in answers)


class TestNextReport:
    def next_report_at(self, client: Client, path: str) -> datetime | None:
        text = client.get(path).json["nextReportAt"]
        return Timestamp.parse(text) if text else None

    def test_it_is_at_the_hour_of_the_accounts_zone(self, client: Client, path: str) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example"}], "hour": 7, "timezone": "America/St_Johns"})

        due = self.next_report_at(client, path)

        assert due
        assert timedelta(0) < due - datetime.now(UTC) <= timedelta(hours=25)
        assert due.astimezone(ZoneInfo("America/St_Johns")).strftime("%H:%M:%S.%f") == "07:00:00.000000"

    def test_a_weekly_report_is_sent_on_monday(
        self, account: Account, stack: Stack, store: ReportSettingsStore, client: Client, path: str
    ) -> None:
        store.save(account.alias, ReportSettings([Recipient("a@b.example", ReportFrequency.WEEKLY)], 7, "Asia/Tokyo"))

        for due_at, monday in (
            # Sunday 07:00, Monday 07:00 and Tuesday 07:00 in the account's zone.
            ("2026-11-28T22:00:00.000Z", "2026-11-29T22:00:00.000Z"),
            ("2026-11-29T22:00:00.000Z", "2026-11-29T22:00:00.000Z"),
            ("2026-11-30T22:00:00.000Z", "2026-12-06T22:00:00.000Z"),
        ):
            stack.client("dynamodb").update_item(
                TableName=store.table,
                Key=report_key(account.alias),
                UpdateExpression="SET dueAt = :due",
                ExpressionAttributeValues={":due": {"S": due_at}},
            )
            due = self.next_report_at(client, path)
            assert due
            assert iso_milliseconds(due) == monday

    def test_without_a_recipient_of_reports_there_is_none(self, client: Client, path: str) -> None:
        client.put(path, {"recipients": [{"address": "a@b.example", "report": "none", "onFailure": True}]})

        assert self.next_report_at(client, path) is None

    @pytest.mark.parametrize("sender", ["", "backups@example.com"])
    def test_without_a_sender_no_report_is_sent(
        self, account: Account, client_of: Callable[..., Client], path: str, sender: str
    ) -> None:
        client = client_of(account.alias, EMAIL_SENDER=sender)

        assert client.put(path, {"recipients": [{"address": "a@b.example"}]}).status == 204

        shown = client.get(path).json
        assert shown["recipients"] == [recipient("a@b.example")]
        assert shown["sendsEmail"] is bool(sender)
        assert (shown["nextReportAt"] is not None) is bool(sender)
