"""`make screenshots`: pictures of the page's main views for the README, from the demo's own servers."""

from __future__ import annotations

import json
import random
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode, Target
from playwright.sync_api import Browser, expect, sync_playwright

from local import messages
from local.clock import LocalClock
from local.demo import RECEIVER_PORT, functions_running, set_recipients, set_servers
from local.page import page_running
from local.receiver import Receiver
from local.servers import ACCOUNT, demo_servers
from local.sign_in import DEMO_USERS, SignIn
from local.stack import Stack, embedded
from local.targets import save_target
from local.template import PROJECT, translate
from local.webhooks import targets_store
from tests.browser.conftest import PATIENCE_MS, launch

IMAGES = PROJECT / "docs" / "images"
WIDE = {"viewport": {"width": 1100, "height": 900}}
LOOKS: dict[str, dict[str, Any]] = {
    "": WIDE,
    "-dark": WIDE | {"color_scheme": "dark"},
    "-phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
}
SHOWN_DELIVERIES = 8


def main() -> None:
    """Start the stack, let some backups end, and take the pictures."""
    template, clock = translate(), LocalClock()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        provider = running.enter_context(SignIn())
        stack = running.enter_context(embedded(template, issuer=provider.url))
        receiver = running.enter_context(
            Receiver(lambda post: 503 if "pager" in post.path else 200, port=RECEIVER_PORT)
        )
        running.enter_context(functions_running(template, stack, clock, workers_a_queue=1))
        page = running.enter_context(page_running(template, stack, provider.url))
        set_servers(stack, clock)
        set_targets(stack, receiver.url)
        set_recipients(stack)
        let_backups_end(stack)
        browser = launch(running.enter_context(sync_playwright()))
        for suffix, look in LOOKS.items():
            take(browser, page.url, suffix, look)


def set_targets(stack: Stack, url: str) -> None:
    """Set a chat for failures and misses, and a pager that is down."""
    store = targets_store(stack)
    chat = f"{url}/services/T00000000/B00000000/XXXXXXXXXXXX"
    for event in (EventType.FAILURE, EventType.MISSING, EventType.PARTIAL_SUCCESS):
        save_target(store, Target(ACCOUNT, [event], chat))
    save_target(
        store, Target(ACCOUNT, [EventType.FAILURE], f"{url}/pager", format="detailed", delivery=DeliveryMode.RETRY)
    )


def let_backups_end(stack: Stack) -> None:
    """Send the results of some backups of the last hours, and wait until their deliveries are shown."""
    chance, now = random.Random(5), datetime.now(UTC)
    servers = demo_servers()
    for number in range(16):
        ended = now - timedelta(minutes=17 * number + 3)
        for message in chance.choice(servers).backup(ended - timedelta(minutes=12), ended, chance):
            messages.send(stack, json.dumps(message))
    log = DeliveryLog(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"])
    for _ in range(120):
        page = log.page(ACCOUNT, since=now - timedelta(days=1), until=now, limit=SHOWN_DELIVERIES)
        if len(page.records) >= SHOWN_DELIVERIES:
            break
        time.sleep(0.25)


def take(browser: Browser, url: str, suffix: str, look: dict[str, Any]) -> None:
    """Take a picture of each view with these options."""
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **look)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=DEMO_USERS[0].email).click()
    expect(page.get_by_role("table", name="Recent deliveries")).to_be_visible()
    expect(page.get_by_role("region", name="Backup Failure", exact=True)).to_be_visible()
    page.screenshot(path=IMAGES / f"webhooks{suffix}.png", full_page=suffix != "-phone")
    page.get_by_role("link", name="Servers").click()
    expect(page.get_by_role("img").first).to_be_visible()
    expect(page.get_by_role("heading", level=3).first).to_be_visible()
    page.screenshot(path=IMAGES / f"servers{suffix}.png", full_page=suffix != "-phone")
    page.get_by_role("link", name="Monitoring").click()
    expect(page.get_by_role("group", name="Recipient 1", exact=True)).to_be_visible()
    page.screenshot(path=IMAGES / f"monitoring{suffix}.png", full_page=suffix != "-phone")
    context.close()


if __name__ == "__main__":
    main()
