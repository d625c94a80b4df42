"""The page in a real browser, with the whole stack: gateway, sign-in, functions, queues, a customer's endpoint."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

from local.clock import LocalClock
from local.demo import functions_running
from local.http_api import HttpApi
from local.receiver import Receiver
from local.sign_in import DemoUser, SignIn
from local.stack import Stack
from local.template import Template
from tests.integration.conftest import Account

# Flags that a browser needs as root and without a network, and flags that switch off its own requests.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# For conditions, which a busy machine meets late.
PATIENCE_MS = 120_000
# The page gives an answer of the service 15 seconds, which a busy machine may take.
NO_DEADLINES = "AbortSignal.timeout = () => new AbortController().signal"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
DARK = {"color_scheme": "dark"}
# Each width and each scheme once: the style sheet does not depend on the two together.
LOOKS = pytest.mark.parametrize("look", [{}, PHONE | DARK], ids=["wide-light", "phone-dark"])


def launch(playwright: Playwright) -> Browser:
    """Launch the system's Chromium, or the one that `playwright install chromium` has fetched."""
    # The first draws with two thirds of the others' CPU.
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    # Playwright would switch off the cache behind Back, which might show a page after signing out.
    return playwright.chromium.launch(
        executable_path=found, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except Exception as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium here (.venv/bin/playwright install chromium, or apt-get): {error}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def whole_stack(template: Template, stack: Stack, served: HttpApi) -> Iterator[HttpApi]:
    """Serve the page, and run the functions that post and retry. They empty all queues, so no other tests may run."""
    with functions_running(template, stack, LocalClock(), workers_a_queue=1, scheduled=False):
        yield served


@dataclass
class Person:
    """A person with a browser tab. `trouble`: the browser's errors."""

    page: Page
    trouble: list[str] = field(default_factory=list)

    def open_event(self, label: str) -> Locator:
        """Return the card of the event with that label."""
        return self.page.get_by_role("region", name=label, exact=True)

    def await_delivery(self, text: str, count: int = 1) -> Locator:
        """Return the recent deliveries with that text, once there are `count`. Each look is a click on Refresh."""
        panel = self.page.get_by_role("region", name="Recent deliveries")
        rows = panel.get_by_role("table").get_by_role("row").filter(has_text=text)
        for _ in range(2 * PATIENCE_MS // 1000):
            # The page shows only the answer to its newest question: another click would drop this one.
            expect(panel).to_have_attribute("aria-busy", "false")
            if rows.count() >= count:
                break
            self.page.wait_for_timeout(500)
            self.page.get_by_role("button", name="Refresh").click()
        return rows

    def axe(self) -> list[str]:
        """Return what axe-core finds wrong with the page as it is shown now."""
        violations = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations]

    def sideways(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


type Visit = Callable[..., Person]


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """A context for each set of options: a new one costs more than the rest of a test."""
    made: dict[str, BrowserContext] = {}

    def context(**options: Any) -> BrowserContext:
        if (name := json.dumps(options, sort_keys=True)) not in made:
            made[name] = browser.new_context(**({"locale": "en-GB", "timezone_id": "Europe/Berlin"} | options))
            made[name].set_default_timeout(PATIENCE_MS)
            made[name].add_init_script(NO_DEADLINES)
        return made[name]

    yield context
    for context_made in made.values():
        context_made.close()


@pytest.fixture
def visit(contexts: Callable[..., BrowserContext], whole_stack: HttpApi, sign_in: SignIn) -> Iterator[Visit]:
    """Makes persons, signed in to an account (None: not signed in). The test fails if their browsers report errors."""
    people: list[Person] = []

    def make(account: str | None, *, at: str = "", url: str | None = None, **options: Any) -> Person:
        page = contexts(**options).new_page()
        person = Person(page)
        people.append(person)
        page.on("pageerror", lambda error: person.trouble.append(str(error)))
        page.on("console", lambda message: person.trouble.append(message.text) if message.type == "error" else None)
        origin = url or whole_stack.url
        if account is not None:
            # A document of the page's origin that does not load the page.
            page.goto(f"{origin}/config.json")
            page.evaluate("it => sessionStorage.setItem('simple-backup.session', it)", session(sign_in, account))
        page.goto(f"{origin}/{at}")
        if account is not None:
            page.get_by_role("button", name="Sign out").wait_for()
        return person

    yield make
    trouble = [text for person in people for text in person.trouble if not _expected(text)]
    for person in people:
        person.page.close()
    assert trouble == []


def session(provider: SignIn, account: str) -> str:
    """Return what a sign-in to only that account stores in a tab, without its five page loads."""
    user = DemoUser(f"{uuid.uuid4().hex[:8]}@example.com", account, "of a test")
    provider.users.append(user)
    tokens = provider.tokens_of(user)
    return json.dumps(
        {
            "token": tokens["access_token"],
            "refreshToken": tokens["refresh_token"],
            "idToken": tokens["id_token"],
            "expiresAt": (time.time() + tokens["expires_in"]) * 1000,
            "account": account,
            "who": user.email,
        }
    )


def _expected(text: str) -> bool:
    # Chromium reports each answer of 4xx and 5xx. The page shows those that tests cause too.
    return text.startswith("Failed to load resource: the server responded with a status of")


@pytest.fixture
def account(stack: Stack) -> Account:
    return Account(f"T{uuid.uuid4().hex[:8].upper()}", stack)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
