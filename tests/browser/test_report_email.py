"""The report and the notice in a mail program: on a desktop and a phone, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.reports.html import render_html
from backup_webhooks.reports.notice_email import notice_email
from playwright.sync_api import Browser, Page

from tests.browser.report_screenshots import demo_report
from tests.support.policies import finished
from tests.support.reports import BERLIN, PAGE, UNSUBSCRIBE, report, server, webhook

# An e-mail is shown within its mail program's page, which has the landmarks.
RULES = {"rules": {"landmark-one-main": {"enabled": False}, "region": {"enabled": False}}}
LONG = "a-server-with-a-long-name." * 3
EMAILS = {
    "report": lambda: render_html(demo_report(), PAGE, UNSUBSCRIBE),
    "report of nothing": lambda: render_html(report(), PAGE, UNSUBSCRIBE),
    "report of long names": lambda: render_html(
        report(
            [server("x" * 80, "v!xm-vx", account_policy_name=LONG)],
            account="W" * 64,
            webhooks=[webhook(url=f"https://{'x' * 60}.{'y' * 60}.example/")],
            totals=DayCounts(1_234_567, 123_456, 123_456, 123_456),
        ),
        PAGE,
        UNSUBSCRIBE,
    ),
    "notice": lambda: (
        notice_email(
            "TEST",
            [finished("12-20 01:00", "12-20 01:10", "FAILED", server_id=LONG)],
            BERLIN,
            PAGE,
            UNSUBSCRIBE,
        ).html
    ),
}
type Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Shows an e-mail. A network request of it fails the test."""
    contexts, asked = [], []

    def make(html: str, **appearance: Any) -> Page:
        context = browser.new_context(**appearance)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.set_content(html)
        return page

    yield make
    for context in contexts:
        context.close()
    assert asked == []


@pytest.mark.parametrize(("width", "scheme"), [(600, "light"), (360, "dark")])
@pytest.mark.parametrize("email", EMAILS)
def test_it_is_accessible_and_fits(show: Show, email: str, width: int, scheme: str) -> None:
    page = show(EMAILS[email](), viewport={"width": width, "height": 740}, color_scheme=scheme)

    violations = Axe().run(page, options=RULES).response["violations"]

    assert [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_readers_colours(show: Show, scheme: str, dark: bool) -> None:
    page = show(EMAILS["report"](), color_scheme=scheme)

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(ground) < 200) == dark


def test_without_its_style_sheet_it_still_fits_and_is_readable(show: Show) -> None:
    """Some programs drop the style sheet. The colours of the elements themselves are the light ones."""
    page = show(EMAILS["report"](), viewport={"width": 360, "height": 740}, color_scheme="light")

    page.evaluate("document.querySelector('style').remove()")

    violations = Axe().run(page, options=RULES).response["violations"]
    assert [one["id"] for one in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
