"""The link of an e-mail ends that e-mail and nothing else, without sign-in or script. Scanners cannot set it off."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import replace
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import urllib3
from backup_webhooks.aws import clients
from backup_webhooks.reports.mailer import Mailer
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore

from local.http_api import HttpApi
from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.api import Answer, Client
from tests.support.fault_proxy import FaultProxy, internal_server_error

ADDRESS = "o'hara+{x}&co@b.example"
STAYS = Recipient("stays@b.example", ReportFrequency.WEEKLY, on_failure=True)
PLAIN = urllib3.PoolManager(retries=False)


@pytest.fixture
def store(stack: Stack) -> ReportSettingsStore:
    return ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


@pytest.fixture
def token(account: Account, store: ReportSettingsStore) -> str:
    """The token of the recipient who unsubscribes; another recipient stays."""
    store.save(account.alias, ReportSettings([STAYS, Recipient(ADDRESS)], hour=3, timezone="Asia/Tokyo"))
    return store.load(account.alias).recipients[1].unsubscribe_token


@pytest.fixture
def stranger(client_of: Callable[..., Client]) -> Client:
    return client_of(None)


def text(answer: Answer) -> str:
    """Return the text of the page, after checks of its headers."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script|<style|style=|\son\w+=|https?:", answer.text)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main>")[2])).split())


def settings(store: ReportSettingsStore, account: Account) -> tuple[Any, ...]:
    stored = store.load(account.alias)
    return [one.address for one in stored.recipients], stored.hour, stored.timezone


class TestLink:
    def test_the_link_asks_and_changes_nothing(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        for _ in range(2):
            answer = stranger.get("/unsubscribe", account=account.alias, token=token)

            assert answer.status == 200
            assert f"Shall {ADDRESS} get no more e-mail about the backups of account {account.alias} ?" in text(answer)
            assert '<form method="post"><button class="primary">Unsubscribe</button></form>' in answer.text
        assert settings(store, account) == ([STAYS.address, ADDRESS], 3, "Asia/Tokyo")

    def test_the_button_ends_the_e_mail_of_this_recipient_alone(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        answer = stranger.request("POST", "/unsubscribe", account=account.alias, token=token)

        assert answer.status == 200
        assert f"{ADDRESS} gets no more e-mail about the backups of account {account.alias} ." in text(answer)
        assert settings(store, account) == ([STAYS.address], 3, "Asia/Tokyo")
        (stays,) = store.load(account.alias).recipients
        assert stays == STAYS

    def test_the_links_of_our_mail_lead_here(
        self, account: Account, served: HttpApi, store: ReportSettingsStore, token: str
    ) -> None:
        url = Mailer(clients.sesv2(), "x@example.com", f"{served.url}/").unsubscribe_url(account.alias, token)

        assert PLAIN.request("GET", url).status == 200
        assert len(store.load(account.alias).recipients) == 2
        assert PLAIN.request("POST", url).status == 200
        assert len(store.load(account.alias).recipients) == 1

    def test_a_used_link_reveals_nothing_and_does_not_fail(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        stranger.request("POST", "/unsubscribe", account=account.alias, token=token)

        for method in ("POST", "GET"):
            answer = stranger.request(method, "/unsubscribe", account=account.alias, token=token)

            assert answer.status == 200
            assert "leads to nobody any more" in text(answer)
            assert "<form" not in answer.text
            assert ADDRESS not in unescape(answer.text)
        assert settings(store, account) == ([STAYS.address], 3, "Asia/Tokyo")

    def test_a_recipient_who_is_removed_and_added_again_has_another_link(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        stored = store.load(account.alias)
        store.save(account.alias, replace(stored, recipients=[STAYS]))
        store.save(account.alias, replace(stored, recipients=[STAYS, Recipient(ADDRESS)]))

        stranger.request("POST", "/unsubscribe", account=account.alias, token=token)

        assert settings(store, account)[0] == [STAYS.address, ADDRESS]


class TestOneClick:
    """RFC 8058: a POST from the mail program, without cookies, origin or sign-in."""

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
            ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--x--'),
            ("application/json", b"{"),
            ("application/octet-stream", b"\xff\xfe\x00" * 30_000),
            ("nonsense", b"x" * 100_000),
            (None, b""),
        ],
        ids=["form", "multipart", "broken JSON", "bytes", "much", "nothing"],
    )
    def test_it_ends_the_e_mail_with_any_body(
        self,
        account: Account,
        served: HttpApi,
        store: ReportSettingsStore,
        token: str,
        content_type: str | None,
        body: bytes,
    ) -> None:
        query = urlencode({"account": account.alias, "token": token})

        answer = PLAIN.request(
            "POST",
            f"{served.url}/unsubscribe?{query}",
            body=body,
            headers={"content-type": content_type} if content_type else {},
            redirect=False,
        )

        assert answer.status == 200
        assert "set-cookie" not in answer.headers
        assert settings(store, account)[0] == [STAYS.address]

    def test_the_body_does_not_say_whose_e_mail_is_ended(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        body = urlencode({"account": account.alias, "token": token}).encode()

        stranger.request("POST", "/unsubscribe", body, {"content-type": "application/x-www-form-urlencoded"})

        assert len(store.load(account.alias).recipients) == 2


HOSTILE = "<script>alert(1)</script>"


class TestStrangers:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "account=&token=",
            "account={account}",
            "token={token}",
            "account={account}&token=",
            "account={account}&token={token}x",
            "account={account}&token={shorter}",
            "account={account}&token=x&token={token}",
            "account=OTHER&token={token}",
            "account={account}%00&token={token}",
            "account={account}&token={token}%0a",
            "account={account}&token=" + "a" * 5000,
            "account=" + "a" * 5000 + "&token={token}",
            "account=%ed%a0%80&token={token}",
            f"account={quote(HOSTILE)}&token={quote(HOSTILE)}",
            "account={account}&token=%ff%fe%fd",
        ],
    )
    def test_an_unknown_link_reveals_and_changes_nothing(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str, method: str, query: str
    ) -> None:
        query = query.replace("{account}", account.alias).replace("{token}", token).replace("{shorter}", token[:-1])
        unknown = stranger.get("/unsubscribe", account="NOSUCH", token="a" * 22)

        answer = stranger.request(method, f"/unsubscribe?{query}")

        assert (answer.status, answer.text) == (200, unknown.text)
        assert "leads to nobody any more" in text(answer)
        assert len(store.load(account.alias).recipients) == 2

    def test_a_link_of_one_account_ends_nothing_of_another(
        self, stack: Stack, account: Account, stranger: Client, store: ReportSettingsStore, token: str
    ) -> None:
        other = Account(f"{account.alias}B", stack)
        store.save(other.alias, ReportSettings([Recipient(ADDRESS)]))

        stranger.request("POST", "/unsubscribe", account=other.alias, token=token)

        assert len(store.load(other.alias).recipients) == 1
        assert len(store.load(account.alias).recipients) == 2

    def test_names_are_text_and_nothing_else(self, stack: Stack, stranger: Client, store: ReportSettingsStore) -> None:
        account = Account(HOSTILE + "{token}", stack)
        store.save(account.alias, ReportSettings([Recipient(f"{HOSTILE}@b.example")]))
        (hostile,) = store.load(account.alias).recipients

        for method in ("GET", "POST"):
            answer = stranger.request(method, "/unsubscribe", account=account.alias, token=hostile.unsubscribe_token)
            assert "<script" not in answer.text
            assert f"{HOSTILE}@b.example" in text(answer)
            assert account.alias in text(answer)

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_no_other_method_does_anything(
        self, account: Account, stranger: Client, store: ReportSettingsStore, token: str, method: str
    ) -> None:
        assert stranger.request(method, "/unsubscribe", account=account.alias, token=token).status == 404
        assert len(store.load(account.alias).recipients) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_fault_of_the_service_is_reported_as_such_and_can_be_retried(
    account: Account,
    client_of: Callable[..., Client],
    dynamodb_proxy: FaultProxy,
    store: ReportSettingsStore,
    token: str,
    method: str,
) -> None:
    dynamodb_proxy.behaviour = lambda _: internal_server_error()
    stranger = client_of(None, AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

    answer = stranger.request(method, "/unsubscribe", account=account.alias, token=token)

    assert answer.status == 503
    assert "does not answer just now: try again" in text(answer)
    assert len(store.load(account.alias).recipients) == 2
