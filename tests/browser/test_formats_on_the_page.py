"""The choice of a format on the Webhooks page."""

from __future__ import annotations

import json
import re
from typing import Any

from backup_webhooks.events.messages import EventType
from playwright.sync_api import expect

from local.receiver import Receiver
from tests.browser.conftest import LOOKS, PATIENCE_MS, Visit
from tests.integration.conftest import Account

expect.set_options(timeout=PATIENCE_MS)
FAILURE = EventType.FAILURE
LABELS = [
    "Text",
    "Detailed",
    "Slack",
    "Microsoft Teams",
    "Discord",
    "Google Chat",
    "PagerDuty",
    "ntfy",
    "CloudEvents",
]
ROUTING_KEY = "R0utingKey" + "a" * 22


@LOOKS
def test_each_format_is_offered_by_its_name_and_previewed(account: Account, visit: Visit, look: dict[str, Any]) -> None:
    person = visit(account.alias, **look)
    card = person.open_event("Backup Failure")
    expect(card.get_by_label("Format").locator("option")).to_have_text(LABELS)

    card.get_by_text("Preview of the body").click()
    for label in LABELS:
        card.get_by_label("Format").select_option(label=label)
        expect(card.get_by_role("group", name=f"Preview, {label}", exact=True)).to_contain_text("TEST-MESSAGE")
        assert person.sideways() == 0

    expect(card.get_by_text("content-type application/cloudevents+json")).to_be_visible()
    card.get_by_label("Format").select_option(label="PagerDuty")
    expect(card.get_by_text("The routing key takes the place of ***.")).to_be_visible()
    assert person.axe() == []


def test_a_test_sends_the_previewed_body(account: Account, visit: Visit, receiver: Receiver) -> None:
    card = visit(account.alias).open_event("Missing Backups")
    card.get_by_label("Target URL").fill(receiver.url)
    card.get_by_label("Format").select_option(label="Slack")
    card.get_by_text("Preview of the body").click()
    preview = json.loads(card.get_by_role("group", name="Preview, Slack").inner_text())

    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    card.get_by_role("button", name="Send test").click()
    expect(card.get_by_text(re.compile("^Delivered"))).to_be_visible()

    (post,) = receiver.posts
    sent = json.loads(post.body)
    assert sent["blocks"] == preview["blocks"]
    assert list(sent) == list(preview)


def test_a_pager_needs_its_routing_key_which_is_not_shown_again(
    account: Account, visit: Visit, receiver: Receiver
) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_label("Target URL").fill(receiver.url)
    expect(card.get_by_label("Routing key")).to_be_hidden()
    card.get_by_label("Format").select_option(label="PagerDuty")
    field = card.get_by_label("Routing key")

    card.get_by_role("button", name="Save", exact=True).click()
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("Type the routing key"))
    field.fill("too short")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(field).to_have_accessible_description(re.compile("the routing key is 32 letters and digits"))
    assert person.axe() == []
    field.fill(ROUTING_KEY)
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()

    assert account.target().destination_key == ROUTING_KEY
    person.page.reload()
    field = person.open_event("Backup Failure").get_by_label("Routing key")
    expect(field).to_have_attribute("placeholder", "as stored")
    expect(field).to_have_value("")
    assert ROUTING_KEY not in person.page.content()


def test_a_key_stays_through_other_changes_and_is_removed_with_its_format(account: Account, visit: Visit) -> None:
    account.set_target(FAILURE, "https://hooks.example/", format="ntfy", destination_key="backups")
    card = visit(account.alias).open_event("Backup Failure")
    card.get_by_label("On", exact=True).uncheck()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().destination_key == "backups"

    card.get_by_label("Format").select_option(label="Text")
    expect(card.get_by_label("Topic")).to_be_hidden()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()

    assert account.target().destination_key is None
    card.get_by_label("Format").select_option(label="ntfy")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_label("Topic")).to_have_accessible_description(re.compile("Type the topic"))


def test_the_format_follows_a_new_url_until_it_is_chosen(account: Account, visit: Visit) -> None:
    card = visit(account.alias).open_event("Backup Failure")
    url, chosen = card.get_by_label("Target URL"), card.get_by_label("Format")

    url.fill("https://hooks.slack.com/services/T0/B0/X")
    expect(chosen).to_have_value("slack")
    expect(card.get_by_role("status").filter(has_text="By its URL this is Slack")).to_be_visible()
    url.fill("https://events.eu.pagerduty.com/v2/enqueue")
    expect(chosen).to_have_value("pagerduty")
    url.fill("https://hooks.example/x")
    expect(chosen).to_have_value("text")
    chosen.select_option("detailed")
    url.fill("https://discord.com/api/webhooks/1/x")

    expect(chosen).to_have_value("detailed")


def test_the_format_of_a_stored_target_does_not_follow_its_url(account: Account, visit: Visit) -> None:
    account.set_target(FAILURE, "https://hooks.slack.com/services/T0/B0/X")
    card = visit(account.alias).open_event("Backup Failure")

    card.get_by_label("Target URL").fill("https://hooks.slack.com/services/T0/B0/Y")

    expect(card.get_by_label("Format")).to_have_value("text")


def test_a_preview_is_opened_and_read_with_the_keyboard_alone(account: Account, visit: Visit) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Success")
    card.get_by_label("Format").focus()
    person.page.keyboard.type("Disc")
    summary = card.get_by_text("Preview of the body")
    for _ in range(8):
        person.page.keyboard.press("Tab")
        if summary.evaluate("node => node === document.activeElement"):
            break

    person.page.keyboard.press("Enter")
    shown = card.get_by_role("group", name="Preview, Discord")
    expect(shown).to_contain_text("allowed_mentions")
    person.page.keyboard.press("Tab")

    expect(shown).to_be_focused()
