"""The page on the local stack in Chromium: how long until it can be used, and how much it loads.

Each round is a browser that has nothing cached. The floor is an empty page from the same gateway, in the same browser.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.figures import Figure
from local.clock import LocalClock
from local.demo import functions_running, set_servers
from local.page import page_running
from local.sign_in import DEMO_USERS, SignIn
from local.stack import embedded
from local.template import translate
from tests.browser.conftest import launch

ROUNDS, QUICK_ROUNDS = 9, 3
WITHIN_MS = 1000
MOST_BYTES = 100_000


def measured(page: Page, load: Callable[[], object], ready: Callable[[], object]) -> float:
    """Milliseconds from the beginning of a load until that is there."""
    page.goto("about:blank")
    started = time.perf_counter()
    load()
    ready()
    return (time.perf_counter() - started) * 1000


def signed_in(browser: Browser, url: str) -> tuple[BrowserContext, Page]:
    """A window of somebody of the demo's account, in a browser that has nothing cached."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=DEMO_USERS[0].email).click()
    page.get_by_role("button", name="Sign out").wait_for()
    session = context.new_cdp_session(page)
    session.send("Network.clearBrowserCache")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return context, page


def measure(quick: bool) -> Iterable[Figure]:
    """Milliseconds until each view can be used, and the bytes of a first load."""
    template, clock = translate(), LocalClock()
    with ExitStack() as running:
        provider = running.enter_context(SignIn())
        stack = running.enter_context(embedded(template, issuer=provider.url))
        running.enter_context(functions_running(template, stack, clock, workers_a_queue=1))
        url = running.enter_context(page_running(template, stack, provider.url)).url
        set_servers(stack, clock)
        browser = launch(running.enter_context(sync_playwright()))
        views: dict[str, list[float]] = {"webhooks": [], "servers": []}
        floor, sizes = [], []
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            context, page = signed_in(browser, url)
            fields = page.get_by_label("Target URL").first
            strip = page.get_by_role("img", name="Last 30 days").first
            floor.append(measured(page, lambda page=page: page.goto(f"{url}/config.json"), lambda: None))
            views["webhooks"].append(measured(page, lambda page=page: page.goto(url), fields.wait_for))
            sizes.append(
                page.evaluate(
                    "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
                    ".filter((one) => !one.name.includes('/v2/')).reduce((sum, one) => sum + one.transferSize, 0)"
                )
            )
            views["servers"].append(measured(page, lambda page=page: page.goto(f"{url}/#/servers"), strip.wait_for))
            context.close()
    empty = statistics.median(floor)
    for view, times in views.items():
        usable = statistics.median(times)
        # A goal in milliseconds, hence no ratio.
        yield Figure(f"page-{view}-usable", usable, "ms", empty, goal=f"<= {WITHIN_MS}", note=f"{len(times)} loads")
    yield Figure("page-first-load", statistics.median(sizes), "bytes", goal=f"<= {MOST_BYTES}")
