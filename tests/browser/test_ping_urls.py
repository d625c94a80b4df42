"""Ping URLs on the Servers page: how they are made, shown once, used and revoked."""

from __future__ import annotations

import re
from typing import Any

import pytest
import urllib3
from backup_webhooks.events.messages import EventType
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.sources.pings.rules import PingKey, hash_of
from playwright.sync_api import Locator, expect

from local.stack import Stack
from tests.browser.conftest import LOOKS, PATIENCE_MS, Person, Visit
from tests.integration.conftest import Account

expect.set_options(timeout=PATIENCE_MS)
HOSTILE = "<img src=x onerror=window.hacked=1>"
AT = "#/servers"
PLAIN = urllib3.PoolManager(retries=False)


@pytest.fixture
def store(stack: Stack) -> PingKeysStore:
    return PingKeysStore(stack.client("dynamodb"), stack.outputs["PingKeysTableName"])


def panel(person: Person) -> Locator:
    return person.page.get_by_role("region", name="Ping URLs", exact=True)


def make(person: Person, server: str = "fileserver", schedule: str = "0 0 1 * * ?") -> str:
    """Make a ping URL for a server, and return it."""
    form = panel(person)
    form.get_by_label("Server name").fill(server)
    form.get_by_label("Policy name").fill("Nightly restic")
    form.get_by_label("Quartz cron expression").fill(schedule)
    form.get_by_role("button", name="Make a ping URL").click()
    shown = form.get_by_label("New ping URL", exact=True)
    expect(shown).to_be_focused()
    return shown.input_value()


def keep(person: Person) -> None:
    panel(person).get_by_role("button", name="I have kept it").click()


def key_of(store: PingKeysStore, account: Account) -> PingKey:
    (key,) = store.of_account(account.alias)
    return key


def test_a_url_is_made_shown_once_and_listed(account: Account, visit: Visit, store: PingKeysStore) -> None:
    person = visit(account.alias, timezone_id="America/St_Johns")
    person.page.get_by_role("link", name="Servers").click()
    expect(panel(person).get_by_text("No ping URLs yet.")).to_be_visible()

    url = make(person)

    key = key_of(store, account)
    assert key.key_hash == hash_of(url.rpartition("/")[2])
    assert (key.server_id, key.account_policy_name, key.backup_schedule, key.timezone) == (
        "fileserver",
        "Nightly restic",
        "0 0 1 * * ?",
        "America/St_Johns",
    )
    expect(panel(person).get_by_role("region", name="Script")).to_contain_text(f"url='{url}'")
    keep(person)
    expect(panel(person).get_by_label("New ping URL", exact=True)).to_have_count(0)
    expect(panel(person).get_by_role("heading", name="Ping URLs")).to_be_focused()
    card = panel(person).get_by_role("listitem").filter(has_text="fileserver")
    expect(card).to_contain_text("Nightly restic")
    expect(card).to_contain_text("0 0 1 * * ? (Quartz cron, America/St_Johns)")
    expect(card).to_contain_text("None yet")
    expect(panel(person).get_by_label("Server name")).to_have_value("")
    person.page.reload()
    expect(panel(person).get_by_role("heading", name="fileserver")).to_be_visible()
    assert url not in person.page.content()


def test_the_url_is_copied(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT, permissions=["clipboard-read", "clipboard-write"])
    url = make(person)

    panel(person).get_by_role("button", name="Copy").click()

    expect(panel(person).get_by_text("Copied", exact=True)).to_be_visible()
    assert person.page.evaluate("navigator.clipboard.readText()") == url


def test_a_ping_shows_with_its_log_and_so_does_the_server(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT)
    url = make(person)
    keep(person)

    assert PLAIN.request("POST", f"{url}/1?rid=a", body=f"{HOSTILE} disk full".encode()).data == b"OK\n"
    person.page.reload()

    card = panel(person).get_by_role("listitem").filter(has=person.page.get_by_role("heading", name="fileserver"))
    expect(card.get_by_text("Failure", exact=True)).to_be_visible()
    log = card.get_by_role("region", name=re.compile("^Output of "))
    for _ in range(4 * PATIENCE_MS // 1000):
        card.get_by_text("Output of the last backups").click()
        if log.or_(card.get_by_text("has sent its output")).first.text_content() and log.count():
            break
        card.get_by_text("Output of the last backups").click()
        person.page.wait_for_timeout(250)
    expect(log).to_have_text(f"{HOSTILE} disk full")
    assert person.page.evaluate("window.hacked") is None
    assert person.axe() == []
    person.page.reload()
    server = person.page.get_by_role("region", name="Servers", exact=True).get_by_role("listitem").first
    expect(server).to_contain_text("fileserver")
    expect(server).to_contain_text("Failed")


def test_a_plan_may_be_hours(account: Account, visit: Visit, store: PingKeysStore) -> None:
    person = visit(account.alias, at=AT)
    form = panel(person)
    form.get_by_label("A backup is expected").select_option("Hours after the last")
    expect(form.get_by_label("Time zone")).to_be_hidden()
    form.get_by_label("Server name").fill("laptop")
    form.get_by_label("Policy name").fill("Borg")
    form.get_by_label("Hours", exact=True).fill("36")
    form.get_by_role("button", name="Make a ping URL").click()

    expect(form.get_by_label("New ping URL", exact=True)).to_be_visible()
    key = key_of(store, account)
    assert (key.backup_interval_hours, key.backup_schedule) == (36, None)
    expect(form.get_by_role("listitem").filter(has_text="36 hours after the end")).to_be_visible()


def test_each_error_is_reported_at_its_field(account: Account, visit: Visit, store: PingKeysStore) -> None:
    person = visit(account.alias, at=AT)
    form = panel(person)
    form.get_by_label("Server name").fill("fileserver")
    form.get_by_label("Policy name").fill("Nightly")
    schedule = form.get_by_label("Quartz cron expression")
    schedule.fill("0 0 25 * * ?")
    form.get_by_role("button", name="Make a ping URL").click()

    expect(schedule).to_have_accessible_description(re.compile("hours: '25'"))
    expect(schedule).to_be_focused()
    expect(form.get_by_text("Not made: see the marked fields.")).to_be_visible()
    assert store.of_account(account.alias) == []
    assert person.axe() == []
    schedule.fill("0 0 23 * * ?")
    form.get_by_role("button", name="Make a ping URL").click()
    expect(form.get_by_label("New ping URL", exact=True)).to_be_visible()
    expect(schedule).not_to_have_attribute("aria-invalid", "true")


def test_a_url_is_revoked_once_that_is_confirmed(account: Account, visit: Visit, store: PingKeysStore) -> None:
    person = visit(account.alias, at=AT)
    url = make(person)
    keep(person)

    panel(person).get_by_role("button", name="Revoke").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert PLAIN.request("GET", url).status == 200
    panel(person).get_by_role("button", name="Revoke").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(panel(person).get_by_text("Revoked.")).to_be_visible()
    expect(panel(person).get_by_text("No ping URLs yet.")).to_be_visible()
    assert store.of_account(account.alias) == []
    assert PLAIN.request("GET", url).status == 404


def test_leaving_the_page_before_the_url_is_kept_asks_first(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT)
    url = make(person)

    person.page.get_by_role("link", name="Webhooks").click()
    expect(person.page.get_by_role("dialog")).to_contain_text("A new secret is shown that you have not kept.")
    person.page.get_by_role("dialog").get_by_role("button", name="Stay").click()

    expect(panel(person).get_by_label("New ping URL", exact=True)).to_have_value(url)


def test_what_was_typed_is_carried_over_a_sign_in(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT)
    form = panel(person)
    form.get_by_label("Server name").fill("typed")
    form.get_by_label("Policy name").fill("Nightly")
    form.get_by_label("Quartz cron expression").fill("0 0 1 * * ?")
    person.page.route("**/v2/**", lambda route: route.fulfill(status=401, json={"message": "Unauthorized"}))
    person.page.route("**/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}))
    form.get_by_role("button", name="Make a ping URL").click()
    ended = person.page.get_by_role("alert").filter(has_text="Your unsaved changes stay here")
    expect(ended).to_be_visible()
    person.page.unroute("**/token")
    person.page.unroute("**/v2/**")
    ended.get_by_role("button", name="Sign in").click()
    person.page.get_by_role("link", name=re.compile("@example.com$")).last.click()

    expect(panel(person).get_by_label("Server name")).to_have_value("typed")
    panel(person).get_by_role("button", name="Make a ping URL").click()
    expect(panel(person).get_by_label("New ping URL", exact=True)).to_be_visible()


@LOOKS
def test_it_is_accessible_and_fits(account: Account, visit: Visit, look: dict[str, Any]) -> None:
    person = visit(account.alias, at=AT, **look)
    make(person, HOSTILE + "x" * 100)
    expect(panel(person).get_by_role("heading", name=re.compile("xxx"))).to_be_visible()
    panel(person).get_by_text("Output of the last backups").click()
    expect(panel(person).get_by_text("No backup of the last 30 days has sent its output.")).to_be_visible()

    assert person.axe() == []
    assert person.sideways() <= 0
    assert person.page.evaluate("window.hacked") is None


def test_it_is_worked_with_the_keyboard_alone(account: Account, visit: Visit, store: PingKeysStore) -> None:
    person = visit(account.alias, at=AT)
    expect(panel(person).get_by_text("No ping URLs yet.")).to_be_visible()
    keyboard = person.page.keyboard
    panel(person).get_by_label("Server name").focus()
    keyboard.type("fileserver")
    keyboard.press("Tab")
    keyboard.type("Nightly")
    for key in ("Tab", "Tab"):
        keyboard.press(key)
    keyboard.type("0 0 1 * * ?")
    keyboard.press("Enter")

    expect(panel(person).get_by_label("New ping URL", exact=True)).to_be_focused()
    expect(panel(person).get_by_role("button", name="Revoke")).to_be_visible()
    for key in ("Tab", "Tab"):
        keyboard.press(key)
    keyboard.press("Enter")
    expect(panel(person).get_by_role("heading", name="Ping URLs")).to_be_focused()
    keyboard.press("Tab")
    expect(panel(person).get_by_role("button", name="Revoke")).to_be_focused()
    keyboard.press("Enter")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(panel(person).get_by_text("No ping URLs yet.")).to_be_visible()
    assert store.of_account(account.alias) == []


def test_a_target_gets_logs_once_that_is_ticked(account: Account, visit: Visit) -> None:
    account.set_target(EventType.FAILURE, "https://hooks.example/x", format="detailed")
    card = visit(account.alias).open_event("Backup Failure")
    card.get_by_text("More:").click()
    box = card.get_by_label(re.compile("^Include the end of the backup.s log$"))
    expect(box).not_to_be_checked()
    expect(box).to_have_accessible_description("With the formats Detailed and CloudEvents. It may hold secrets.")

    box.check()
    card.get_by_role("button", name="Save", exact=True).click()

    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().include_output
