"""`python -m tests.browser.report_screenshots`: pictures of a report, as a mail program shows it, for the README."""

from __future__ import annotations

from typing import Any

from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.reports.html import render_html
from backup_webhooks.reports.report import Report
from playwright.sync_api import Browser, sync_playwright

from local.template import PROJECT
from tests.browser.conftest import launch
from tests.support.reports import PAGE, UNSUBSCRIBE, on, report, server, webhook

IMAGES = PROJECT / "docs" / "images"
DARK: dict[str, Any] = {"color_scheme": "dark"}
LOOKS: dict[str, dict[str, Any]] = {
    f"report-{width}{suffix}": {"viewport": {"width": width, "height": 740}, "device_scale_factor": scale} | scheme
    for width, scale in ((600, 1), (360, 2))
    for suffix, scheme in (("", {}), ("-dark", DARK))
}


def main() -> None:
    """Take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    html = render_html(demo_report(), PAGE, UNSUBSCRIBE)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, appearance in LOOKS.items():
            take(browser, html, name, appearance)
        browser.close()


def take(browser: Browser, html: str, name: str, appearance: dict[str, Any]) -> None:
    """Take one picture of the whole e-mail."""
    context = browser.new_context(**appearance)
    page = context.new_page()
    page.set_content(html)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    context.close()


def demo_report() -> Report:
    """Return the report of a night of twelve servers with some trouble."""
    fourth: dict[str, Any] = {"next_expected_at": on("11-25 08:00")}
    lines = [
        server("CA3TESTMAIL", "vvv!vvv", next_expected_at=on("11-25 23:30")),
        server("GB3TESTFILES", "vv--vvm", state=ServerState.MISSED, last_at=on("11-24 22:00")),
        server("IL1TESTAPP01", period=DayCounts(success=6), account_policy_name="Every 4 hours", **fourth),
        server("IL1TESTAPP02", period=DayCounts(success=6), account_policy_name="Every 4 hours", **fourth),
        server(
            "IL1TESTDB01",
            "vvvvvxx",
            period=DayCounts(failed=2, success=4),
            state=ServerState.FAILED,
            account_policy_name="Every 4 hours",
            last_at=on("11-25 04:09"),
            **fourth,
        ),
        server("IL1TESTDB02", "vv!vvvv", account_policy_name="Databases, Frankfurt"),
        server("IL1TESTWEB01", "vvvvvv!", state=ServerState.PARTIAL, last_at=on("11-25 01:48")),
        server(
            "IL1TESTWEB02",
            "vxvvvvx",
            period=DayCounts(failed=1, success=1),
            last_at=on("11-25 03:21"),
        ),
        server(
            "NY1TESTHISTORY",
            "vvvvvv-",
            state=ServerState.LATE,
            last_at=on("11-24 05:14"),
            next_expected_at=on("11-25 05:30"),
        ),
        server("UC1TESTWIND0803", account_policy_name="ZZZ USERS"),
        server("VA1TESTBUILD", "------v", next_expected_at=None, state=ServerState.INACTIVE),
        server("WA1TESTNEW", "-------", last_at=None, state=ServerState.UNKNOWN, next_expected_at=on("11-29 02:00")),
    ]
    attention = [line for line in lines if line.went_wrong or line.is_wrong]
    order = [ServerState.MISSED, ServerState.FAILED, ServerState.PARTIAL, ServerState.OK]
    return report(
        lines,
        before=DayCounts(success=22, partial_success=1, failed=1),
        attention=sorted(attention, key=lambda line: order.index(line.state)),
        webhooks=[
            webhook(
                event_types=[EventType.FAILURE, EventType.MISSING],
                url="https://hooks.chat.example/services/T0/B0/XXXX",
                undelivered=1,
            ),
            webhook(
                event_types=[EventType.SUCCESS],
                url="https://ops.example.com/backups",
                undelivered=9,
                switched_off_at=on("11-25 01:03"),
                reason="answered 410 Gone",
            ),
        ],
    )


if __name__ == "__main__":
    main()
