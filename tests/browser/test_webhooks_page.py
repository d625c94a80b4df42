"""The Webhooks page."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.settlements_store import SettlementsStore
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.preferences import Preferences, QuietHours
from playwright.sync_api import Locator, expect

from local import messages
from local.http_api import HttpApi
from local.page import page_running
from local.receiver import Receiver
from local.sign_in import SignIn
from local.stack import Stack
from local.template import Template
from tests.browser.conftest import PATIENCE_MS, Person, Visit
from tests.integration.conftest import Account
from tests.support.messages import finished

expect.set_options(timeout=PATIENCE_MS)
FAILURE = EventType.FAILURE
SLACK_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"


def save(person: Person, label: str, url: str, without: Collection[EventType] = ()) -> None:
    card = person.open_event(label)
    card.get_by_label("Target URL").fill(url)
    for event in without:
        card.get_by_label(event.label, exact=True).uncheck()
    saved(card)


def saved(card: Locator) -> None:
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()


def choice(card: Locator) -> Locator:
    return card.get_by_role("group", name="Events posted to this URL")


def test_a_url_is_set_saved_and_still_there_after_a_reload(account: Account, visit: Visit, receiver: Receiver) -> None:
    person = visit(account.alias)
    url = receiver.url + SLACK_PATH

    save(person, "Backup Failure", url)

    assert account.target().url == url
    person.page.reload()
    card = person.open_event("Backup Failure")
    expect(card.get_by_label("Target URL")).to_have_value(url)
    expect(card.get_by_text("Good", exact=True)).to_be_visible()


def test_the_signing_secret_is_shown_once(account: Account, visit: Visit, receiver: Receiver) -> None:
    person = visit(account.alias)
    save(person, "Backup Success", receiver.url)

    shown = person.page.get_by_label("New signing secret")
    expect(shown).to_have_value(account.target().secrets[0].value)
    person.page.get_by_role("button", name="I have kept it").click()
    expect(shown).to_have_count(0)
    person.page.reload()
    expect(person.open_event("Backup Success").get_by_label("Target URL")).to_have_value(receiver.url)
    assert "whsec_" not in person.page.content()


def test_a_url_of_two_events_is_one_target_and_both_places_say_so(
    account: Account, visit: Visit, receiver: Receiver
) -> None:
    person = visit(account.alias)
    url = f"{receiver.url}/both"
    save(person, "Backup Failure", url, without=[event for event in EventType if event is not FAILURE])
    person.open_event("Missing Backups").get_by_label("Target URL").fill(url)
    expect(person.open_event("Missing Backups").get_by_text("Also set for Backup Failure")).to_be_visible()
    expect(choice(person.open_event("Missing Backups"))).to_be_hidden()
    saved(person.open_event("Missing Backups"))

    assert account.target().event_types == (FAILURE, EventType.MISSING)
    for label, other in (("Backup Failure", "Missing Backups"), ("Missing Backups", "Backup Failure")):
        note = f"Also set for {other}: settings and signing secret are the same there."
        expect(person.open_event(label).get_by_text(note)).to_be_visible()

    # Changes saved in one place are there in the other, and can be changed there.
    card = person.open_event("Missing Backups")
    card.get_by_label("Delivery").select_option("retry")
    card.get_by_role("button", name="Save", exact=True).click()
    first = person.open_event("Backup Failure")
    expect(first.get_by_label("Delivery")).to_have_value("retry")
    first.get_by_role("button", name="Remove", exact=True).click()
    first.get_by_role("button", name="Save", exact=True).click()
    expect(first.get_by_text("Saved", exact=True)).to_be_visible()
    expect(card.get_by_text("Also set for")).to_have_count(0)
    assert account.target().event_types == (EventType.MISSING,)


class TestEventsOfANewTarget:
    def test_all_are_proposed_and_a_person_may_untick_some(
        self, account: Account, visit: Visit, receiver: Receiver
    ) -> None:
        person = visit(account.alias)
        card = person.open_event("Backup Failure")
        expect(choice(card)).to_be_hidden()
        card.get_by_label("Target URL").fill(receiver.url)
        boxes = choice(card).get_by_role("checkbox")
        expect(boxes).to_have_count(len(EventType))
        for event in EventType:
            expect(choice(card).get_by_label(event.label, exact=True)).to_be_checked()
        # The target stays on the card where it is added.
        expect(choice(card).get_by_label("Backup Failure")).to_be_disabled()
        assert person.axe() == []

        box = choice(card).get_by_label("Backup Success", exact=True)
        box.focus()
        box.press("Space")
        card.get_by_label("Format").select_option("detailed")
        saved(card)

        events = [event for event in EventType if event is not EventType.SUCCESS]
        target = account.target()
        assert (list(target.event_types), target.format) == (events, "detailed")
        expect(card.get_by_label("New signing secret")).to_have_value(target.secrets[0].value)
        expect(choice(card)).to_be_hidden()
        expect(person.open_event("Stale Backups").get_by_label("Target URL")).to_have_value(receiver.url)
        expect(person.open_event("Backup Success").get_by_text("Not saved yet")).to_be_visible()

    def test_an_event_with_as_many_targets_as_are_allowed_is_reported_at_its_box(
        self, account: Account, visit: Visit
    ) -> None:
        for number in range(5):
            account.set_target(EventType.SUCCESS, f"https://hooks.example/{number}")
        card = visit(account.alias).open_event("Backup Failure")
        card.get_by_label("Target URL").fill("https://hooks.example/new")
        card.get_by_role("button", name="Save", exact=True).click()

        box = choice(card).get_by_label("Backup Success", exact=True)
        expect(box).to_be_focused()
        expect(box).to_have_accessible_description(re.compile("as many targets as are allowed here"))
        assert len(account.targets.load(account.alias).targets) == 5
        box.uncheck()
        saved(card)
        (target,) = account.targets.load(account.alias).of_event(FAILURE)
        assert len(target.event_types) == len(EventType) - 1

    def test_a_url_that_an_event_has_in_another_spelling_is_reported_at_its_field(
        self, account: Account, visit: Visit
    ) -> None:
        account.set_target(FAILURE, "https://hooks.example/taken")
        card = visit(account.alias).open_event("Missing Backups")
        card.get_by_label("Target URL").fill("https://HOOKS.example/taken")
        card.get_by_role("button", name="Save", exact=True).click()

        field = card.get_by_label("Target URL")
        expect(field).to_have_accessible_description(re.compile("another target with this URL for Backup.Failure"))
        expect(field).to_be_focused()
        assert account.target().event_types == (FAILURE,)

    def test_of_several_new_targets_those_before_an_error_are_saved(self, account: Account, visit: Visit) -> None:
        stored = account.set_target(FAILURE, "https://hooks.example/stored")
        person = visit(account.alias)
        card = person.open_event("Backup Failure")
        for position, url in enumerate(["https://hooks.example/good", "ftp://hooks.example/bad"], start=1):
            card.get_by_role("button", name="Add target").click()
            card.get_by_label("Target URL").nth(position).fill(url)
        card.get_by_role("button", name="Save", exact=True).click()

        last = card.get_by_label("Target URL").last
        expect(last).to_have_value("ftp://hooks.example/bad")
        expect(last).to_have_accessible_description(re.compile("must begin with https://"))
        expect(last).to_be_focused()
        (good,) = [target for target in account.targets.load(account.alias).targets if target != stored]
        assert list(good.event_types) == list(EventType)
        expect(card.get_by_label("New signing secret")).to_have_value(good.secrets[0].value)
        expect(person.open_event("Stale Backups").get_by_label("Target URL")).to_have_value(good.url)
        # The corrected one is saved too, and the first secret is still shown.
        last.fill("https://hooks.example/better")
        saved(card)
        assert len(account.targets.load(account.alias).of_event(FAILURE)) == 3
        expect(card.get_by_label("New signing secret")).to_have_count(2)


def test_a_test_is_sent_and_its_answer_seen(account: Account, visit: Visit, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url + SLACK_PATH)
    person = visit(account.alias)
    card = person.open_event("Backup Failure")

    card.get_by_role("button", name="Send test").click()

    expect(card.get_by_text(re.compile(r"^Delivered · status 200, \d+ ms"))).to_be_visible()
    (post,) = receiver.posts
    assert post.path == SLACK_PATH
    assert "TEST-MESSAGE" in json.loads(post.body)["text"]
    card.get_by_text("What was sent and answered").click()
    expect(card.get_by_role("region", name="Body sent")).to_contain_text("TEST-MESSAGE")


def test_a_test_that_fails_says_why(account: Account, visit: Visit) -> None:
    account.set_target(FAILURE, "http://127.0.0.1:9/refused")
    card = visit(account.alias).open_event("Backup Failure")

    card.get_by_role("button", name="Send test").click()

    expect(card.get_by_text(re.compile(r"^Not delivered · .*connection refused"))).to_be_visible()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://hooks.example.com", "must begin with https://"),
        ("https://me:pw@hooks.example.com/", "user name and password"),
    ],
)
def test_an_invalid_url_is_reported_at_its_field(account: Account, visit: Visit, url: str, message: str) -> None:
    card = visit(account.alias).open_event("Missing Backups")
    field = card.get_by_label("Target URL")

    field.fill(url)
    card.get_by_role("button", name="Save", exact=True).click()

    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(message))
    expect(field).to_be_focused()
    expect(field).to_have_value(url)
    assert account.targets.load(account.alias).targets == []


@pytest.fixture
def guarded(template: Template, stack: Stack, sign_in: SignIn) -> Iterator[HttpApi]:
    """The page of a stack as on AWS, with targets on the public internet only."""
    with page_running(template, stack, sign_in.url, environment={"ALLOW_PRIVATE_TARGETS": "false"}) as api:
        yield api


def test_a_url_that_leads_into_a_private_network_is_refused_with_the_reason(
    account: Account, visit: Visit, guarded: HttpApi
) -> None:
    card = visit(account.alias, url=guarded.url).open_event("Backup Failure")
    field = card.get_by_label("Target URL")

    field.fill("http://169.254.169.254/latest/meta-data")
    card.get_by_role("button", name="Save", exact=True).click()

    expect(field).to_have_accessible_description(re.compile("not on the public internet"))
    assert account.targets.load(account.alias).targets == []


def test_format_delivery_headers_and_the_switch_are_saved(account: Account, visit: Visit, receiver: Receiver) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_label("Target URL").fill(receiver.url)
    card.get_by_label("Format").select_option("detailed")
    card.get_by_label("Delivery").select_option("retry")
    card.get_by_label("On", exact=True).uncheck()
    card.get_by_text("More:").click()
    card.get_by_role("button", name="Add header").click()
    card.get_by_label("Header name").fill("X-Team")
    card.get_by_label("Header value").fill("s3cret")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()

    target = account.target()
    assert (target.format, str(target.delivery), target.enabled) == ("detailed", "retry", False)
    assert target.headers == {"X-Team": "s3cret"}
    person.page.reload()
    card = person.open_event("Backup Failure")
    expect(card.get_by_text("Off: nothing is sent")).to_be_visible()
    card.get_by_label("On", exact=True).check()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().enabled
    assert account.target().headers == {"X-Team": "s3cret"}
    assert "s3cret" not in person.page.content()


def test_preferences_are_set_and_reset(account: Account, visit: Visit, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_text("More:").click()

    card.get_by_label("Only changes").check()
    card.get_by_label("Remind every").fill("24")
    card.get_by_label("Group").check()
    card.get_by_label("Quiet hours").check()
    card.get_by_label("From").fill("22:00")
    card.get_by_label("Until").fill("06:30")
    card.get_by_label("Time zone").fill("Nowhere/City")
    card.get_by_role("button", name="Save", exact=True).click()

    zone = card.get_by_label("Time zone")
    expect(zone).to_be_focused()
    expect(zone).to_have_accessible_description(re.compile("must be an IANA time zone"))
    zone.fill("Europe/Berlin")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().preferences == Preferences(
        changes_only=True,
        remind_hours=24,
        quiet_hours=QuietHours(time(22), time(6, 30), "Europe/Berlin"),
        group=True,
    )

    person.page.reload()
    card = person.open_event("Backup Failure")
    card.get_by_text("More: only changes, quiet hours, grouped").click()
    card.get_by_label("Only changes").uncheck()
    card.get_by_label("Group").uncheck()
    card.get_by_label("Quiet hours").uncheck()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().preferences == Preferences()


def test_targets_are_added_up_to_five_and_removed(account: Account, visit: Visit) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Success")
    for number in range(5):
        if number:
            card.get_by_role("button", name="Add target").click()
        card.get_by_label("Target URL").nth(number).fill(f"https://hooks.example/{number}")
    expect(card.get_by_role("button", name="Add target")).to_be_hidden()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert len(account.targets.load(account.alias).targets) == 5

    first = card.get_by_role("group", name="Backup Success, target 1")
    gone = first.get_by_label("Target URL").input_value()
    first.get_by_role("button", name="Remove", exact=True).click()
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    left = {target.url for target in account.targets.load(account.alias).of_event(EventType.SUCCESS)}
    assert len(left) == 4
    assert gone not in left


def test_a_secret_is_rotated(account: Account, visit: Visit) -> None:
    account.set_target(FAILURE, "https://hooks.example/x")
    (old,) = account.target().secrets
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_text("More:").click()
    expect(card.get_by_text("1 secret in use")).to_be_visible()

    card.get_by_role("button", name="Rotate secret").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Make a new secret").click()

    expect(card.get_by_label("New signing secret")).to_have_value(re.compile("^whsec_"))
    new, kept = account.target().secrets
    assert card.get_by_label("New signing secret").input_value() == new.value
    assert kept.value == old.value
    assert kept.expires_at
    assert timedelta(hours=23) < kept.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    expect(card.get_by_text("2 secrets in use")).to_be_visible()
    expect(card.get_by_text("More: 0 custom headers, 2 signing secrets")).to_be_visible()
    assert person.axe() == []
    # Discarding other changes does not bring back an older secret, and does not hide this one.
    card.get_by_label("Format").select_option("detailed")
    card.get_by_role("button", name="Discard changes").click()
    expect(card.get_by_label("New signing secret")).to_have_value(new.value)


def test_a_discarded_change_brings_back_no_secret_that_was_kept(
    account: Account, visit: Visit, receiver: Receiver
) -> None:
    person = visit(account.alias)
    save(person, "Backup Failure", receiver.url)
    card = person.open_event("Backup Failure")
    card.get_by_role("button", name="I have kept it").click()

    card.get_by_label("Format").select_option("detailed")
    expect(card.get_by_role("button", name="Send test")).to_be_disabled()
    card.get_by_role("button", name="Discard changes").click()

    expect(card.get_by_label("New signing secret")).to_have_count(0)
    expect(card.get_by_role("button", name="Send test")).to_be_enabled()


@pytest.mark.parametrize(
    ("names", "message"),
    [(["X-A", "x-a"], "Given twice"), (["X A"], "A name is"), (["Host"], "not allowed"), (["x'y"], None)],
)
def test_an_invalid_header_is_reported_at_it(
    account: Account, visit: Visit, names: list[str], message: str | None
) -> None:
    card = visit(account.alias).open_event("Backup Failure")
    card.get_by_label("Target URL").fill("https://hooks.example/headers")
    card.get_by_text("More:").click()
    for position, name in enumerate(names):
        card.get_by_role("button", name="Add header").click()
        card.get_by_label("Header name").nth(position).fill(name)
        card.get_by_label("Header value").nth(position).fill(f"value {position}")
    card.get_by_role("button", name="Save", exact=True).click()

    if message is None:
        expect(card.get_by_text("Saved", exact=True)).to_be_visible()
        assert account.target().headers == {"x'y": "value 0"}
        return
    last = card.get_by_role("group", name="New header").last
    expect(last.locator("[aria-invalid=true]")).to_have_accessible_description(re.compile(message))
    expect(last.locator("[aria-invalid=true]")).to_be_focused()
    assert account.targets.load(account.alias).targets == []


def test_a_url_that_is_typed_twice_is_reported_at_the_second(account: Account, visit: Visit) -> None:
    card = visit(account.alias).open_event("Backup Failure")
    card.get_by_role("button", name="Add target").click()
    for position in range(2):
        card.get_by_label("Target URL").nth(position).fill("https://hooks.example/same")
    card.get_by_role("button", name="Save", exact=True).click()

    expect(card.get_by_label("Target URL").nth(1)).to_have_accessible_description(re.compile("set above already"))
    assert account.targets.load(account.alias).targets == []


def test_a_delivery_that_was_never_attempted_is_shown_too(account: Account, visit: Visit, stack: Stack) -> None:
    target = account.set_target(FAILURE, "https://hooks.example/removed")
    store = DeliveriesStore(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"], timedelta(days=30))
    now = datetime.now(UTC)
    delivery = Delivery(
        account=account.alias,
        event_type=FAILURE,
        target_id=target.target_id,
        occurred_at=Timestamp.of(now - timedelta(minutes=1)),
        subject_id="rp",
        body="{}",
    )
    SettlementsStore(store).abandon(AttemptDue.first(delivery, now), "the target was removed", now)
    person = visit(account.alias)

    row = person.page.get_by_role("row").filter(has_text="not attempted: the target was removed")
    row.get_by_role("button").click()

    expect(person.page.get_by_text("not called yet")).to_be_visible()
    assert person.axe() == []
    account.remove(target)
    person.page.get_by_role("button", name="Send again").click()
    expect(person.page.get_by_text("The target was removed: it is not called.")).to_be_visible()


def test_a_failed_delivery_is_seen_and_sent_again(account: Account, visit: Visit, stack: Stack) -> None:
    statuses = [503, 200]
    with Receiver(lambda _: statuses.pop(0)) as receiver:
        account.set_target(FAILURE, receiver.url + SLACK_PATH)
        end = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        messages.send(stack, finished(account.alias, backupFinishedDate=end, serverId="BROKEN-SERVER"))
        person = visit(account.alias)
        row = person.await_delivery("answered 503")
        expect(row).to_contain_text("Failed")

        row.get_by_role("button").click()
        detail = person.page.get_by_role("region", name="Body sent")
        expect(detail).to_contain_text("BROKEN-SERVER")
        expect(person.page.get_by_role("region", name="Answer")).to_contain_text("ok")
        person.page.get_by_role("button", name="Send again").click()

        expect(person.page.get_by_role("status").filter(has_text="Delivered · status 200")).to_be_visible()
        expect(person.page.get_by_role("row").filter(has_text="Backup Failure").first).to_contain_text("Delivered")
    assert len(receiver.posts) == 2
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    # The endpoint works again, and the page shows it.
    person.page.reload()
    expect(person.open_event("Backup Failure").get_by_text("Good", exact=True)).to_be_visible()


def test_deliveries_are_filtered(account: Account, visit: Visit, stack: Stack, receiver: Receiver) -> None:
    for event in (EventType.SUCCESS, EventType.PARTIAL_SUCCESS):
        account.set_target(event, receiver.url)
    end = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    for status in ("SUCCESS", "PARTIAL_SUCCESS"):
        messages.send(stack, finished(account.alias, backupFinishedDate=end, restorePointCreationStatus=status))
    person = visit(account.alias)
    person.await_delivery("Delivered", count=2)
    table = person.page.get_by_role("table", name="Recent deliveries")
    expect(table.get_by_text("Backup Partial Success")).to_be_visible()

    form = person.page.get_by_role("form", name="Filter deliveries")
    form.get_by_label("Event").select_option(label="Backup Success")
    expect(table.get_by_text("Backup Partial Success")).to_have_count(0)
    expect(table.get_by_text("Backup Success")).to_be_visible()
    form.get_by_label("State").select_option(label="Failed")
    expect(person.page.get_by_text("No deliveries.")).to_be_visible()


def test_a_person_who_saves_later_is_warned_and_chooses(account: Account, visit: Visit) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_label("Target URL").fill("https://hooks.example/mine")
    account.set_target(FAILURE, "https://hooks.example/theirs")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Somebody else has changed these targets.")).to_be_visible()
    assert account.target().url == "https://hooks.example/theirs"

    assert person.axe() == []
    card.get_by_role("button", name=re.compile("^Load theirs")).click()

    expect(card.get_by_label("Target URL")).to_have_value("https://hooks.example/theirs")


def test_a_person_who_saves_over_it_types_header_values_again(account: Account, visit: Visit) -> None:
    mine = account.set_target(FAILURE, "https://hooks.example/mine", headers={"X-Key": "s3cret"})
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_label("Format").select_option("detailed")
    account.remove(mine)
    account.set_target(FAILURE, "https://hooks.example/theirs")
    card.get_by_role("button", name="Save", exact=True).click()
    card.get_by_role("button", name="Save mine over theirs").click()

    value = card.get_by_label("Header value")
    expect(value).to_be_focused()
    expect(value).to_have_accessible_description(re.compile("Type"))
    assert account.target().url == "https://hooks.example/theirs"
    value.fill("s3cret again")
    card.get_by_role("button", name="Save", exact=True).click()
    expect(card.get_by_text("Saved", exact=True)).to_be_visible()
    assert account.target().headers == {"X-Key": "s3cret again"}


def test_leaving_unsaved_changes_asks_first(account: Account, visit: Visit) -> None:
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    card.get_by_label("Target URL").fill("https://hooks.example/unsaved")
    expect(card.get_by_text("Unsaved changes")).to_be_visible()

    person.page.get_by_role("link", name="Servers").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Stay").click()
    expect(card.get_by_label("Target URL")).to_have_value("https://hooks.example/unsaved")

    with person.page.expect_event("dialog") as asked:
        person.page.once("dialog", lambda dialog: dialog.dismiss())
        person.page.evaluate("setTimeout(() => location.reload(), 0)")
    assert asked.value.type == "beforeunload"

    person.page.get_by_role("link", name="Servers").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(person.page.get_by_role("heading", level=1)).to_contain_text("Servers")


def test_a_target_that_was_switched_off_says_why_and_comes_back(account: Account, visit: Visit) -> None:
    target = account.set_target(FAILURE, "https://hooks.example/gone")
    failing = account.targets.record_failure(target, 410, "answered 410", slow=False, now=datetime.now(UTC))
    assert failing
    account.targets.switch_off(failing, "answered 410 Gone", datetime.now(UTC))
    person = visit(account.alias)
    card = person.open_event("Backup Failure")
    expect(card.get_by_text("Switched off: answered 410 Gone")).to_be_visible()

    card.get_by_label("On", exact=True).check()
    card.get_by_role("button", name="Save", exact=True).click()

    expect(card.get_by_text("Good", exact=True)).to_be_visible()
    assert account.target().enabled


def test_the_page_is_worked_with_the_keyboard_alone(account: Account, visit: Visit, receiver: Receiver) -> None:
    person = visit(account.alias)
    expect(person.open_event("Backup Failure").get_by_label("Target URL")).to_be_visible()
    keyboard = person.page.keyboard
    person.page.evaluate("document.activeElement.blur()")
    keyboard.press("Tab")
    expect(person.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(person.open_event("Backup Failure").get_by_label("Target URL")).to_be_focused()
    keyboard.type(receiver.url)
    keyboard.press("Enter")

    expect(person.page.get_by_label("New signing secret")).to_be_focused()
    assert account.target().url == receiver.url
