"""The Monitoring page, and the links of e-mail that lead to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import replace
from typing import Any
from zoneinfo import available_timezones

import pytest
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from playwright.sync_api import Locator, expect

from local.http_api import HttpApi
from local.page import page_running
from local.sign_in import SignIn
from local.stack import Stack
from local.template import Template
from tests.browser.conftest import LOOKS, PATIENCE_MS, Person, Visit
from tests.integration.conftest import Account

expect.set_options(timeout=PATIENCE_MS)
HOSTILE = "<img src=x onerror=window.hacked=1>"
AT = "#/monitoring"
AT_ONCE = "Missed, unfinished and stale backups at once"
TWO = (
    Recipient("a@b.example"),
    Recipient("c@d.example", ReportFrequency.WEEKLY, on_failure=True),
)


@pytest.fixture
def store(stack: Stack) -> ReportSettingsStore:
    return ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


def recipient(person: Person, position: int) -> Locator:
    return person.page.get_by_role("group", name=f"Recipient {position}", exact=True)


def address(person: Person, position: int = 1) -> Locator:
    return recipient(person, position).get_by_label("E-mail address")


def save(person: Person) -> None:
    person.page.get_by_role("button", name="Save", exact=True).click()


def saved(person: Person) -> None:
    save(person)
    expect(person.page.get_by_text("Saved", exact=True)).to_be_visible()


def stored(store: ReportSettingsStore, account: Account) -> list[tuple[str, str, bool, bool]]:
    recipients = store.load(account.alias).recipients
    return [(one.address, str(one.report), one.on_failure, one.on_missing) for one in recipients]


def test_a_recipient_is_added_saved_and_still_there_after_a_reload(
    account: Account, visit: Visit, store: ReportSettingsStore
) -> None:
    person = visit(account.alias)
    person.page.get_by_role("link", name="Monitoring").click()
    expect(person.page.get_by_role("heading", level=1)).to_contain_text("Monitoring")
    expect(person.page.get_by_text("No report goes out: nobody gets one.")).to_be_visible()

    address(person).fill("ops@example.com")
    recipient(person, 1).get_by_label("Report").select_option(label="Weekly, on Mondays")
    recipient(person, 1).get_by_label("Failed backups at once").check()
    person.page.get_by_label("Hour").select_option("06:00")
    saved(person)

    assert stored(store, account) == [("ops@example.com", "weekly", True, False)]
    person.page.reload()
    expect(address(person)).to_have_value("ops@example.com")
    expect(recipient(person, 1).get_by_label("Report")).to_have_value("weekly")
    expect(recipient(person, 1).get_by_label("Failed backups at once")).to_be_checked()
    expect(recipient(person, 1).get_by_label(AT_ONCE)).not_to_be_checked()
    expect(person.page.get_by_label("Hour")).to_have_value("6")
    next_report = re.compile(r"The next report goes out Mon.*, 06:00 \(Europe/Berlin\)\.$")
    expect(person.page.get_by_text(next_report)).to_be_visible()


def test_without_a_zone_the_readers_zone_is_offered_and_not_saved(
    account: Account, visit: Visit, store: ReportSettingsStore
) -> None:
    person = visit(account.alias, at=AT, timezone_id="America/St_Johns")

    expect(person.page.get_by_label("Time zone")).to_have_value("America/St_Johns")
    expect(person.page.get_by_text("Unsaved changes")).to_be_hidden()
    assert store.load(account.alias).revision == 0

    address(person).fill("a@b.example")
    saved(person)
    assert store.load(account.alias).timezone == "America/St_Johns"
    # The zone is the account's from then on, not the reader's.
    other = visit(account.alias, at=AT)
    expect(other.page.get_by_label("Time zone")).to_have_value("America/St_Johns")
    expect(other.page.get_by_text(re.compile(r"07:00 \(America/St_Johns\), .* your time\.$"))).to_be_visible()


def test_every_zone_that_is_offered_may_be_set(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT)
    expect(person.page.get_by_label("Time zone")).to_be_visible()

    offered = person.page.evaluate("[...document.querySelectorAll('datalist option')].map(option => option.value)")

    assert len(offered) > 300
    assert {"UTC", "Europe/Berlin"} <= set(offered)
    assert set(offered) <= available_timezones()


def test_recipients_are_changed_and_removed(account: Account, visit: Visit, store: ReportSettingsStore) -> None:
    store.save(account.alias, ReportSettings(TWO, hour=4, timezone="Asia/Tokyo"))
    person = visit(account.alias, at=AT)

    recipient(person, 1).get_by_role("button", name="Remove").click()
    expect(address(person)).to_have_value("c@d.example")
    expect(address(person)).to_be_focused()
    expect(person.page.get_by_text("Removed here. Save to make it so.")).to_be_visible()
    recipient(person, 1).get_by_label(AT_ONCE).check()
    saved(person)

    assert stored(store, account) == [("c@d.example", "weekly", True, True)]
    assert (store.load(account.alias).hour, store.load(account.alias).timezone) == (4, "Asia/Tokyo")
    recipient(person, 1).get_by_role("button", name="Remove").click()
    saved(person)
    assert stored(store, account) == []
    expect(address(person)).to_have_value("")
    expect(recipient(person, 1).get_by_role("button", name="Remove")).to_be_hidden()
    expect(person.page.get_by_text("No report goes out: nobody gets one.")).to_be_visible()


def test_there_are_twenty_at_most(account: Account, visit: Visit, store: ReportSettingsStore) -> None:
    store.save(account.alias, ReportSettings([Recipient(f"a{number}@b.example") for number in range(19)]))
    person = visit(account.alias, at=AT)

    person.page.get_by_role("button", name="Add recipient").click()
    expect(address(person, 20)).to_be_focused()
    expect(person.page.get_by_role("button", name="Add recipient")).to_be_hidden()
    address(person, 20).fill("last@b.example")
    saved(person)

    assert len(stored(store, account)) == 20


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("second", "message"),
        [
            ("no-domain", "must be one e-mail address"),
            ("A@b.example", "set above already"),
            ("", "Type an address, or remove the recipient"),
            (f"{HOSTILE}@b.example", "must be one e-mail address"),
        ],
        ids=["no address", "twice", "none", "hostile"],
    )
    def test_an_invalid_address_is_reported_at_its_field(
        self, account: Account, visit: Visit, store: ReportSettingsStore, second: str, message: str
    ) -> None:
        person = visit(account.alias, at=AT)
        address(person).fill("a@b.example")
        person.page.get_by_role("button", name="Add recipient").click()
        recipient(person, 2).get_by_label(AT_ONCE).check()
        address(person, 2).fill(second)
        save(person)

        expect(address(person, 2)).to_have_attribute("aria-invalid", "true")
        expect(address(person, 2)).to_have_accessible_description(re.compile(message))
        expect(address(person, 2)).to_be_focused()
        expect(address(person, 2)).to_have_value(second)
        expect(address(person)).not_to_have_attribute("aria-invalid", "true")
        assert store.load(account.alias).revision == 0
        assert person.axe() == []
        # The corrected settings are saved.
        address(person, 2).fill("c@d.example")
        saved(person)
        assert [one[0] for one in stored(store, account)] == ["a@b.example", "c@d.example"]

    @pytest.mark.parametrize("zone", ["Berlin", "", "../etc/passwd"])
    def test_an_unknown_zone_is_reported_at_its_field(
        self, account: Account, visit: Visit, store: ReportSettingsStore, zone: str
    ) -> None:
        person = visit(account.alias, at=AT)
        address(person).fill("a@b.example")
        field = person.page.get_by_label("Time zone")
        field.fill(zone)
        save(person)

        expect(field).to_have_accessible_description(re.compile("must be an IANA time zone, such as Europe/Berlin"))
        expect(field).to_be_focused()
        expect(person.page.get_by_text("Not saved: see the marked fields.")).to_be_visible()
        assert store.load(account.alias).revision == 0

    def test_stored_markup_is_shown_as_text(self, account: Account, visit: Visit, store: ReportSettingsStore) -> None:
        store.save(account.alias, ReportSettings([Recipient(f"{HOSTILE}@b.example")], timezone="Asia/Tokyo"))
        person = visit(account.alias, at=AT)

        expect(address(person)).to_have_value(f"{HOSTILE}@b.example")

        assert person.page.evaluate("window.hacked") is None
        assert person.page.locator("main img, main script").count() == 0

    def test_a_view_that_cannot_be_loaded_says_so_and_can_be_loaded_again(self, account: Account, visit: Visit) -> None:
        person = visit(account.alias)
        person.page.route("**/reportRecipients", lambda route: route.fulfill(status=503, json={"detail": "try again"}))
        person.page.get_by_role("link", name="Monitoring").click()
        alert = person.page.get_by_role("alert").filter(has_text="The recipients could not be loaded. try again")
        expect(alert).to_be_visible()
        person.page.unroute("**/reportRecipients")

        person.page.get_by_role("button", name="Try again").click()

        expect(address(person)).to_be_visible()


class TestTwoPeople:
    @pytest.fixture
    def person(self, account: Account, visit: Visit, store: ReportSettingsStore) -> Person:
        """A person who saves after another has changed the same settings."""
        store.save(account.alias, ReportSettings(TWO))
        person = visit(account.alias, at=AT)
        address(person).fill("mine@b.example")
        store.save(account.alias, ReportSettings([Recipient("theirs@b.example")], hour=22))
        save(person)
        expect(person.page.get_by_text("Somebody else has changed who gets e-mail.")).to_be_visible()
        assert [one[0] for one in stored(store, account)] == ["theirs@b.example"]
        return person

    def test_a_person_who_saves_later_may_load_what_is_stored(self, person: Person) -> None:
        assert person.axe() == []
        person.page.get_by_role("button", name="Load theirs").click()

        expect(address(person)).to_have_value("theirs@b.example")
        expect(recipient(person, 2)).to_have_count(0)
        expect(person.page.get_by_label("Hour")).to_have_value("22")
        expect(person.page.get_by_text("Unsaved changes")).to_be_hidden()

    def test_a_person_who_saves_later_may_save_over_it(
        self, account: Account, person: Person, store: ReportSettingsStore
    ) -> None:
        person.page.get_by_role("button", name="Save mine over theirs").click()

        expect(person.page.get_by_text("Saved", exact=True)).to_be_visible()
        assert [one[0] for one in stored(store, account)] == ["mine@b.example", "c@d.example"]
        assert store.load(account.alias).hour == 7


class TestUnsaved:
    def test_leaving_unsaved_changes_asks_first_and_they_may_be_discarded(
        self, account: Account, visit: Visit, store: ReportSettingsStore
    ) -> None:
        store.save(account.alias, ReportSettings(TWO))
        person = visit(account.alias, at=AT)
        address(person).fill("other@b.example")
        person.page.get_by_label("Time zone").fill("Asia/Tokyo")
        expect(person.page.get_by_text("Unsaved changes")).to_be_visible()

        person.page.get_by_role("link", name="Webhooks").click()
        person.page.get_by_role("dialog").get_by_role("button", name="Stay").click()
        expect(address(person)).to_have_value("other@b.example")
        with person.page.expect_event("dialog") as asked:
            person.page.once("dialog", lambda dialog: dialog.dismiss())
            person.page.evaluate("setTimeout(() => location.reload(), 0)")
        assert asked.value.type == "beforeunload"

        person.page.get_by_role("button", name="Discard changes").click()
        expect(address(person)).to_have_value("a@b.example")
        expect(person.page.get_by_label("Time zone")).to_have_value("UTC")
        person.page.get_by_role("link", name="Webhooks").click()
        expect(person.page.get_by_role("heading", level=1)).to_contain_text("Webhooks")

    def test_they_are_carried_over_a_sign_in(self, account: Account, visit: Visit, store: ReportSettingsStore) -> None:
        store.save(account.alias, ReportSettings(TWO))
        person = visit(account.alias, at=AT)
        address(person).fill("typed@b.example")
        person.page.get_by_label("Hour").select_option("05:00")
        person.page.route("**/v2/**", lambda route: route.fulfill(status=401, json={"message": "Unauthorized"}))
        person.page.route("**/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}))
        save(person)
        ended = person.page.get_by_role("alert").filter(has_text="Your unsaved changes stay here")
        expect(ended).to_be_visible()
        person.page.unroute("**/token")
        person.page.unroute("**/v2/**")
        ended.get_by_role("button", name="Sign in").click()
        person.page.get_by_role("link", name=re.compile("@example.com$")).last.click()

        expect(address(person)).to_have_value("typed@b.example")
        expect(person.page.get_by_text("Your unsaved changes are back.")).to_be_visible()
        saved(person)
        assert [one[0] for one in stored(store, account)] == ["typed@b.example", "c@d.example"]
        assert store.load(account.alias).hour == 5


@LOOKS
def test_it_is_accessible_and_fits(
    account: Account, visit: Visit, store: ReportSettingsStore, look: dict[str, Any]
) -> None:
    long = replace(TWO[0], address=f"{'long' * 15}@{'b' * 60}.example", unsubscribe_token="x" * 22)
    store.save(account.alias, ReportSettings([*TWO, long], timezone="America/Argentina/ComodRivadavia"))
    person = visit(account.alias, at=AT, **look)
    expect(address(person, 3)).to_be_visible()
    expect(person.page.get_by_text(re.compile("^The next report goes out"))).to_be_visible()

    assert person.axe() == []
    assert person.sideways() <= 0


def test_it_is_worked_with_the_keyboard_alone(account: Account, visit: Visit, store: ReportSettingsStore) -> None:
    person = visit(account.alias, at=AT)
    expect(address(person)).to_be_visible()
    keyboard = person.page.keyboard
    person.page.evaluate("document.activeElement.blur()")
    for key in ("Tab", "Enter", "Tab"):
        keyboard.press(key)
    expect(address(person)).to_be_focused()

    keyboard.type("a@b.example")
    keyboard.press("Tab")
    keyboard.type("W")
    for key in ("Tab", "Space", "Tab", "Space", "Tab", "Tab"):
        keyboard.press(key)
    expect(person.page.get_by_role("button", name="Add recipient")).to_be_focused()
    keyboard.press("Enter")
    expect(address(person, 2)).to_be_focused()
    keyboard.type("c@d.example")
    keyboard.press("Enter")

    expect(person.page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(person.page.get_by_role("button", name="Save", exact=True)).to_be_focused()
    assert stored(store, account) == [("a@b.example", "weekly", True, True), ("c@d.example", "daily", False, False)]


@pytest.fixture
def silent(template: Template, stack: Stack, sign_in: SignIn) -> Iterator[HttpApi]:
    """The page of an installation without a sender."""
    with page_running(template, stack, sign_in.url, environment={"EMAIL_SENDER": ""}) as api:
        yield api


def test_an_installation_that_sends_no_e_mail_says_so(account: Account, visit: Visit, silent: HttpApi) -> None:
    person = visit(account.alias, at=AT, url=silent.url)
    address(person).fill("a@b.example")
    saved(person)

    expect(person.page.get_by_text("This installation sends no e-mail.")).to_be_visible()
    expect(person.page.get_by_text("The next report")).to_have_count(0)
    assert person.axe() == []


def test_with_a_sender_there_is_no_warning(account: Account, visit: Visit) -> None:
    person = visit(account.alias, at=AT)

    expect(address(person)).to_be_visible()
    expect(person.page.get_by_text("This installation sends no e-mail.")).to_have_count(0)


@LOOKS
def test_the_link_of_an_e_mail_asks_and_its_button_unsubscribes(
    account: Account, visit: Visit, store: ReportSettingsStore, look: dict[str, Any]
) -> None:
    store.save(account.alias, ReportSettings(TWO))
    first, second = store.load(account.alias).recipients
    link = f"unsubscribe?account={account.alias}&token={first.unsubscribe_token}"
    person = visit(None, at=link, **look)
    expect(person.page.get_by_text("Shall a@b.example get no more e-mail")).to_be_visible()
    assert person.axe() == []
    assert person.sideways() <= 0
    assert store.load(account.alias).recipients == [first, second]

    person.page.get_by_role("button", name="Unsubscribe").click()

    expect(person.page.get_by_role("heading", level=1)).to_have_text("Unsubscribed")
    expect(person.page.get_by_text("a@b.example gets no more e-mail")).to_be_visible()
    assert person.axe() == []
    assert store.load(account.alias).recipients == [second]


def test_it_works_without_scripts(account: Account, visit: Visit, store: ReportSettingsStore) -> None:
    store.save(account.alias, ReportSettings(TWO[:1]))
    (only,) = store.load(account.alias).recipients
    link = f"unsubscribe?account={account.alias}&token={only.unsubscribe_token}"
    person = visit(None, at=link, java_script_enabled=False)

    person.page.get_by_role("button", name="Unsubscribe").click()

    expect(person.page.get_by_text("a@b.example gets no more e-mail")).to_be_visible()
    assert store.load(account.alias).recipients == []
