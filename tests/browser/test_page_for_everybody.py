"""Signing in and out, other accounts, hostile text, screen readers, phones, dark mode."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import BackupFinished, BackupStatus, EventType, ServerPolicyChanged
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from playwright.sync_api import Locator, Route, expect

from local import messages
from local.receiver import Receiver
from local.sign_in import DemoUser, SignIn
from local.stack import Stack
from tests.browser.conftest import DARK, LOOKS, PATIENCE_MS, Person, Visit
from tests.integration.conftest import Account
from tests.support.messages import finished
from tests.support.policies import LONG_AGO, changed, record, started
from tests.support.policies import finished as ended

expect.set_options(timeout=PATIENCE_MS)
HOSTILE = "<img src=x onerror=window.hacked=1>"
NOW = datetime.now(UTC)
FAR_AWAY = "0 0 12 1 1 ? 2098"


def fill(account: Account, stack: Stack, name: str = "IL1TESTWEB01") -> None:
    """Store a server with a month of backups, and a target that fails."""
    policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    policy_id = str(uuid.uuid4())
    facts: dict[str, Any] = {
        "account_alias": account.alias,
        "server_id": name,
        "server_policy_id": policy_id,
        "account_policy_id": "ap",
        "account_policy_name": name,
        "storage_region": name,
    }
    record(
        policies,
        changed(
            "12-20 00:00",
            changed_date=Timestamp.of(NOW - timedelta(days=3)),
            server_policy_id=policy_id,
            clc_account_alias=account.alias,
            server_id=name,
            name=name,
            storage_region=name,
            backup_schedule="0 0 1 * * ?",
            timezone="America/Chicago",
        ),
    )
    for day, status in enumerate(("SUCCESS", "FAILED", "PARTIAL_SUCCESS")):
        at = Timestamp.of(NOW - timedelta(days=day, minutes=1))
        record(
            policies,
            BackupFinished(
                **facts,
                backup_started_date=at,
                backup_finished_date=at,
                restore_point_id=str(uuid.uuid4()),
                restore_point_creation_status=BackupStatus(status),
            ),
        )
    known = policies.load(account.alias, policy_id)
    policies.save(known.after_miss(LONG_AGO))
    target = account.set_target(EventType.FAILURE, "http://127.0.0.1:9/" + ("x" * 80))
    account.targets.record_failure(target, 503, name, slow=False, now=NOW)


class TestSignIn:
    def test_without_sign_in_only_the_sign_in_is_shown(self, visit: Visit) -> None:
        person = visit(None)

        expect(person.page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(person.page.get_by_role("navigation")).to_be_hidden()
        assert person.axe() == []

    def test_it_is_kept_over_a_reload_and_ends_with_signing_out(
        self, account: Account, visit: Visit, sign_in: SignIn
    ) -> None:
        person = visit(None)
        sign_in.users.append(DemoUser("of-the-test@example.com", account.alias, "of a test"))
        person.page.get_by_role("button", name="Sign in").click()
        person.page.get_by_role("link", name="of-the-test@example.com").click()
        person.page.get_by_role("button", name="Sign out").wait_for()
        person.page.reload()
        expect(person.page.get_by_text(f"Account {account.alias}")).to_be_visible()

        person.page.get_by_role("button", name="Sign out").click()

        expect(person.page.get_by_role("button", name="Sign in")).to_be_visible()
        assert person.page.evaluate("Object.keys(sessionStorage).length + Object.keys(localStorage).length") == 0
        person.page.reload()
        expect(person.page.get_by_role("button", name="Sign in")).to_be_visible()
        person.page.go_back()
        expect(person.page.get_by_role("button", name="Sign out")).to_have_count(0)

    def test_an_answer_without_a_request_does_not_sign_in(self, visit: Visit) -> None:
        person = visit(None, at="?code=stolen&state=forged")

        expect(person.page.get_by_role("alert")).to_contain_text("not started from this tab")
        expect(person.page.get_by_role("navigation")).to_be_hidden()

    def test_a_renewal_that_comes_late_does_not_sign_in_again(self, account: Account, visit: Visit) -> None:
        person = visit(account.alias)
        expire = (
            "s => sessionStorage.setItem(s, JSON.stringify({...JSON.parse(sessionStorage.getItem(s)), expiresAt: 0}))"
        )
        person.page.evaluate(expire, "simple-backup.session")
        config = person.page.evaluate("fetch('/config.json').then(answer => answer.json())")
        config["signIn"]["endSessionEndpoint"] = None
        person.page.route("**/config.json", lambda route: route.fulfill(json=config))
        held: list[Route] = []
        person.page.route("**/token", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
        person.page.reload()
        person.page.get_by_role("button", name="Sign out").click()
        expect(person.page.get_by_text("You have signed out.")).to_be_visible()

        assert held
        with person.page.expect_response("**/token"):
            held[0].continue_()
        person.page.wait_for_timeout(200)

        assert person.page.evaluate("sessionStorage.getItem('simple-backup.session')") is None

    def test_an_old_answer_of_the_provider_does_not_end_a_session(self, account: Account, visit: Visit) -> None:
        person = visit(account.alias)

        person.page.goto(person.page.url.partition("#")[0] + "?code=old&state=old")

        expect(person.page.get_by_role("button", name="Sign out")).to_be_visible()

    def test_an_operator_chooses_the_account(self, account: Account, visit: Visit) -> None:
        account.set_target(EventType.FAILURE, "https://hooks.example/of-the-customer")
        person = visit("*")

        person.page.get_by_label("Account").fill(account.alias)
        person.page.get_by_role("button", name="Show account").click()

        expect(person.open_event("Backup Failure").get_by_label("Target URL")).to_have_value(
            "https://hooks.example/of-the-customer"
        )
        person.page.get_by_label("Account").fill("NOSUCH")
        person.page.get_by_role("button", name="Show account").click()
        expect(person.page.get_by_text("There is no such account").first).to_be_visible()

    def test_when_the_session_ends_what_was_typed_is_carried_over_the_next_sign_in(
        self, account: Account, visit: Visit
    ) -> None:
        person = visit(account.alias)
        card = person.open_event("Backup Failure")
        card.get_by_label("Target URL").fill("https://hooks.example/typed")
        person.page.route("**/v2/**", lambda route: route.fulfill(status=401, json={"message": "Unauthorized"}))
        person.page.route("**/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}))

        card.get_by_role("button", name="Save", exact=True).click()

        ended = person.page.get_by_role("alert").filter(has_text="Your unsaved changes stay here")
        expect(ended).to_be_visible()
        assert person.axe() == []
        expect(card.get_by_label("Target URL")).to_have_value("https://hooks.example/typed")
        person.page.unroute("**/token")
        ended.get_by_role("button", name="Sign in").click()
        # The first load after it fails. The text is still not lost.
        person.page.unroute("**/v2/**")
        person.page.route("**/v2/webhooks/*", lambda route: route.fulfill(status=503, json={"detail": "try again"}))
        person.page.get_by_role("link", name=re.compile("@example.com$")).last.click()
        expect(person.page.get_by_text("The webhooks could not be loaded.")).to_be_visible()
        person.page.unroute("**/v2/webhooks/*")
        person.page.reload()
        expect(card.get_by_label("Target URL")).to_have_value("https://hooks.example/typed")
        card.get_by_role("button", name="Save", exact=True).click()
        expect(card.get_by_text("Saved", exact=True)).to_be_visible()


class TestHostileText:
    def test_it_never_runs_in_the_page(self, stack: Stack, visit: Visit) -> None:
        """Hostile account and server names, policies, regions, URLs, reasons, bodies sent and answered."""
        account = Account(f"{HOSTILE}{uuid.uuid4().hex[:8]}", stack)
        fill(account, stack, HOSTILE)

        def answer(_: object) -> tuple[int, dict[str, str], bytes]:
            return 500, {"content-type": "text/html"}, f"<script>window.hacked=1</script>{HOSTILE}".encode()

        with Receiver(answer) as receiver:
            account.set_target(EventType.SUCCESS, f"{receiver.url}/%3Cscript%3E?{'<script>window.hacked=1</script>'}")
            end = (NOW - timedelta(minutes=1)).isoformat()
            messages.send(
                stack,
                finished(
                    account.alias,
                    restorePointCreationStatus="SUCCESS",
                    backupFinishedDate=end,
                    serverId=HOSTILE,
                    serverPolicyId=str(uuid.uuid4()),
                    restorePointId=HOSTILE,
                ),
            )
            person = visit(account.alias)
            row = person.await_delivery("answered 500")
            row.get_by_role("button").click()
            expect(person.page.get_by_role("region", name="Body sent")).to_contain_text(HOSTILE)
            expect(person.page.get_by_role("region", name="Answer")).to_contain_text(HOSTILE)
        expect(person.page.get_by_text(f"Account {HOSTILE}")).to_be_visible()
        expect(person.open_event("Backup Failure").get_by_text(HOSTILE)).to_be_visible()
        person.page.get_by_role("link", name="Servers").click()
        # One server has a policy message, and of the other only a backup is known.
        expect(person.page.get_by_role("heading", name=HOSTILE)).to_have_count(2)

        assert person.page.evaluate("window.hacked") is None
        assert person.page.locator("main img, main script, main a[href^='http']").count() == 0


def show(person: Person, view: str) -> None:
    if view == "Servers":
        person.page.get_by_role("link", name="Servers").click()
        expect(person.page.get_by_role("heading", level=3).first).to_be_visible()
        expect(person.page.get_by_role("img", name=re.compile("^Backups a day"))).to_be_visible()
    else:
        expect(person.open_event("Backup Failure").get_by_text(re.compile("^Failing: "))).to_be_visible()
        expect(person.page.get_by_text("No deliveries.")).to_be_visible()


@pytest.mark.parametrize("view", ["Webhooks", "Servers"])
@LOOKS
def test_each_view_is_accessible_and_fits(
    account: Account, stack: Stack, visit: Visit, view: str, look: dict[str, Any]
) -> None:
    fill(account, stack)
    person = visit(account.alias, **look)

    show(person, view)
    for summary in person.page.locator("summary").all():
        summary.click()

    assert person.axe() == []
    assert person.sideways() <= 0


@pytest.mark.parametrize("view", ["Webhooks", "Servers"])
def test_an_empty_account_is_shown_what_to_do(account: Account, visit: Visit, view: str) -> None:
    person = visit(account.alias)
    if view == "Servers":
        person.page.get_by_role("link", name="Servers").click()
        expect(person.page.get_by_text("No servers with a backup policy yet.")).to_be_visible()
    else:
        expect(person.open_event("Backup Failure").get_by_text("Not saved yet")).to_be_visible()
        expect(person.page.get_by_text("No deliveries.")).to_be_visible()

    assert person.axe() == []


@LOOKS
def test_errors_are_accessible_too(account: Account, visit: Visit, look: dict[str, Any]) -> None:
    person = visit(account.alias, **look)
    card = person.open_event("Backup Failure")
    card.get_by_label("Target URL").fill("nonsense")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_label("Target URL")).to_have_attribute("aria-invalid", "true")

    assert person.axe() == []


def test_in_the_dark_the_page_is_dark(account: Account, visit: Visit) -> None:
    def brightness(person: Person) -> int:
        colour = person.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness(visit(account.alias)) > 600
    assert brightness(visit(account.alias, **DARK)) < 200


def test_a_view_that_cannot_be_loaded_says_so_and_can_be_loaded_again(account: Account, visit: Visit) -> None:
    person = visit(account.alias)
    person.page.route("**/dailyResults", lambda route: route.fulfill(status=503, json={"detail": "try again"}))
    person.page.get_by_role("link", name="Servers").click()
    alert = person.page.get_by_role("region", name="The last 30 days").get_by_role("alert")
    expect(alert).to_contain_text("could not be loaded")
    assert person.axe() == []
    person.page.unroute("**/dailyResults")

    alert.get_by_role("button", name="Try again").click()

    expect(person.page.get_by_role("img", name=re.compile("^Backups a day"))).to_be_visible()


def test_a_servers_next_backup_is_shown_in_its_zone_and_the_readers(
    account: Account, stack: Stack, visit: Visit
) -> None:
    fill(account, stack)
    person = visit(account.alias)
    person.page.get_by_role("link", name="Servers").click()

    server = person.page.get_by_role("listitem").filter(has_text="IL1TESTWEB01").first

    expect(server.get_by_text(re.compile(r"01:00 \(America/Chicago\)"))).to_be_visible()
    expect(server.get_by_text(re.compile(r"0[78]:00 your time"))).to_be_visible()
    expect(server.get_by_role("img", name=re.compile(r"^Last 30 days: .*1 failed"))).to_be_visible()
    person.page.get_by_text("Show the numbers").click()
    expect(person.page.get_by_role("table").get_by_role("row")).to_have_count(31)


def ago(**time: float) -> str:
    return iso_milliseconds(NOW - timedelta(**time))


def of_server(account: Account, name: str) -> dict[str, Any]:
    return {"account_alias": account.alias, "server_id": name, "server_policy_id": name}


def daily(account: Account, name: str, **changes: Any) -> ServerPolicyChanged:
    """Return the policy, four days old, of a server with a backup each day at noon."""
    fields = {"clc_account_alias": account.alias, "server_id": name, "server_policy_id": name}
    return changed(ago(days=4), **fields | {"backup_schedule": "0 0 12 * * ?"} | changes)


def card(person: Person, name: str) -> Locator:
    """Return the card of the server with that name."""
    heading = person.page.get_by_role("heading", name=name, exact=True)
    return person.page.get_by_role("region", name="Servers", exact=True).locator("li.server").filter(has=heading)


def fact(server: Locator, term: str) -> Locator:
    """Return the description of a term on the server's card."""
    return server.locator("dl > div").filter(has=server.page.get_by_text(term, exact=True)).get_by_role("definition")


def time_of(server: Locator, term: str) -> str | None:
    return fact(server, term).locator("time").get_attribute("datetime")


class TestServerStates:
    @pytest.fixture
    def policies(self, stack: Stack) -> ServerPoliciesStore:
        return ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])

    @pytest.fixture
    def servers(self, account: Account, policies: ServerPoliciesStore) -> None:
        """Store a server that is unfinished, one that is stale, one that runs, and one without a known schedule."""
        success = ended(ago(hours=73), ago(hours=72), **of_server(account, "STALE"))
        record(policies, daily(account, "STALE"), success)
        known = policies.load(account.alias, "STALE")
        policies.save(known.after_report(known.stale(), LONG_AGO))

        run = started(ago(hours=40), **of_server(account, "UNFINISHED"))
        record(policies, daily(account, "UNFINISHED"), run)
        known = policies.load(account.alias, "UNFINISHED")
        policies.save(known.after_report(known.unfinished(), LONG_AGO))

        record(
            policies,
            daily(account, "RUNNING", backup_schedule=FAR_AWAY),
            ended(ago(hours=50), ago(hours=49), **of_server(account, "RUNNING")),
            ended(ago(hours=26), ago(hours=25), "PARTIAL_SUCCESS", **of_server(account, "RUNNING")),
            started(ago(minutes=10), **of_server(account, "RUNNING")),
        )
        record(policies, ended(ago(hours=2), ago(hours=1), **of_server(account, "UNKNOWN")))

    @pytest.mark.usefixtures("servers")
    def test_each_shows_its_state_and_since_when(self, account: Account, visit: Visit) -> None:
        person = visit(account.alias, at="#/servers")

        stale = card(person, "STALE")
        expect(stale.get_by_text("Stale", exact=True)).to_be_visible()
        assert time_of(stale, "No success since") == ago(hours=72)
        assert time_of(stale, "Last backup") == ago(hours=72)
        unfinished = card(person, "UNFINISHED")
        expect(unfinished.get_by_text("Unfinished", exact=True)).to_be_visible()
        assert time_of(unfinished, "Unfinished since") == ago(hours=40)
        expect(fact(unfinished, "Last backup")).to_contain_text("None has finished yet")
        running = card(person, "RUNNING")
        expect(running.get_by_text("Running", exact=True)).to_be_visible()
        assert time_of(running, "Running since") == ago(minutes=10)
        assert time_of(running, "Last success") == ago(hours=49)
        expect(fact(running, "Last backup")).to_contain_text("partly succeeded")
        unknown = card(person, "UNKNOWN")
        expect(unknown.get_by_text("Not watched", exact=True)).to_be_visible()
        expect(unknown.get_by_text("since")).to_have_count(0)
        assert person.axe() == []
        assert person.sideways() <= 0

    @pytest.mark.usefixtures("servers")
    def test_an_unfinished_backup_counts_on_the_day_of_its_start(self, account: Account, visit: Visit) -> None:
        person = visit(account.alias, at="#/servers")
        server = card(person, "UNFINISHED")
        words = "Last 30 days: 0 good days, 1 unfinished, 29 without backups"
        expect(server.get_by_role("img", name=words)).to_be_visible()
        server.get_by_text("1 day with trouble").click()
        expect(server.get_by_role("listitem").filter(has_text="1 unfinished")).to_be_visible()
        expect(server.locator(".bar-unfinished")).to_have_attribute("fill", "url(#fill-unfinished)")

        results = person.page.get_by_role("region", name="The last 30 days")
        expect(results.get_by_role("img", name=re.compile("1 unfinished"))).to_be_visible()
        expect(results.get_by_role("listitem").filter(has_text="Unfinished")).to_have_text("Unfinished1")
        results.get_by_text("Show the numbers").click()
        expect(results.get_by_role("columnheader", name="Unfinished")).to_be_visible()
        assert person.axe() == []

    def test_one_that_is_not_watched_gives_the_reason(
        self, account: Account, policies: ServerPoliciesStore, visit: Visit
    ) -> None:
        record(
            policies,
            daily(account, "STOPPED", backup_schedule=FAR_AWAY),
            daily(account, "FREQUENT", backup_schedule="0 0/2 * * * ?"),
        )
        policies.save(policies.load(account.alias, "STOPPED").watching(False, NOW))
        person = visit(account.alias, at="#/servers")

        for name, reason in (("STOPPED", "a person has stopped watching it"), ("FREQUENT", "every 5 minutes")):
            expect(card(person, name).get_by_text("Not watched", exact=True)).to_be_visible()
            expect(fact(card(person, name), "Next expected")).to_contain_text("None is expected: ")
            expect(fact(card(person, name), "Next expected")).to_contain_text(reason)
