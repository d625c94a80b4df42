"""Tests of daily and weekly reports: which recipient gets which, when, and how often, in virtual time."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from backup_webhooks.aws import clients
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.items import to_item
from backup_webhooks.reports.account_reports import Sent
from backup_webhooks.reports.email import Email
from backup_webhooks.reports.mailer import Mailer
from backup_webhooks.reports.schedule_store import ReportProgress, ReportScheduleStore, UnderWay
from backup_webhooks.targets.target import DeliveryMode

from local.mailbox import Mail
from local.receiver import Answer, Post, Receiver
from local.stack import CREDENTIALS
from tests.support.policies import at, changed
from tests.support.reports_world import DAILY, NONE, WEEKLY, ReportsWorld
from tests.world.aws import Aws
from tests.world.world import World

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONDAY = at("2026-11-23 12:00")


@pytest.fixture
def world(world_aws: Aws) -> Iterator[ReportsWorld]:
    world = ReportsWorld(World(world_aws), MONDAY)
    yield world
    # The account must not be due in other tests.
    world.set()


def refusing(*addresses: str) -> Callable[[Mail], bool]:
    return lambda mail: mail.to in addresses


def test_each_recipient_gets_the_report_once_at_the_accounts_hour(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("two", DAILY), ("three", NONE), hour=7, timezone="Europe/Berlin")
    ended = world.end(at("2026-11-24 01:00"), "FAILED")

    world.run_until(at("2026-11-24 06:00"))
    assert world.mailbox.mails == []
    world.run_until(at("2026-11-25 05:55"))

    assert world.restore_points("one") == world.restore_points("two") == [[ended]]
    assert world.mails("three") == []
    (mail,) = world.mails("one")
    assert mail.sender == "Simple Backup <backups@example.com>"
    assert "1 failed" in mail.subject
    assert "Europe/Berlin" in mail.text
    assert "Europe/Berlin" in mail.html


def test_a_report_can_be_ended_with_one_click_by_its_own_recipient(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("two", DAILY))
    world.run_until(at("2026-11-24 07:10"))

    links = [mail.headers["List-Unsubscribe"] for mail in world.mailbox.mails]
    assert len(set(links)) == 2
    for mail in world.mailbox.mails:
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = mail.headers["List-Unsubscribe"].strip("<>")
        assert link.startswith(f"https://page.example/unsubscribe?account={world.account}&token=")
        assert link in mail.text
        assert link.replace("&", "&amp;") in mail.html
        world.settings.unsubscribe(world.account, link.rpartition("=")[2])
    assert world.settings.load(world.account).recipients == []


def test_however_often_the_schedule_fires_a_report_is_sent_once(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.now = at("2026-11-24 07:10")

    world.find_due()
    (message,) = world.messages()
    for _ in range(3):
        world.send(message)
        world.tick()

    assert len(world.mails("one")) == 1


def test_two_functions_that_get_the_same_message_at_once_send_one_report(world: ReportsWorld) -> None:
    world.set(*((f"r{number}", DAILY) for number in range(10)))
    world.now = at("2026-11-24 07:10")
    world.find_due()
    (message,) = world.messages()

    with ThreadPoolExecutor(4) as threads:
        sent = list(threads.map(lambda _: world.send(message), range(4)))

    assert sum(result.sent for result in sent) == 10
    assert Counter(mail.to for mail in world.mailbox.mails).most_common(1)[0][1] == 1


def test_a_recipient_who_just_got_it_from_another_invocation_gets_it_once(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("two", DAILY))
    world.now = at("2026-11-24 07:10")
    world.find_due()
    (message,) = world.messages()

    class Overtaken(ReportScheduleStore):
        """Another invocation sends the report to one recipient between this invocation's read and its lease."""

        def begin(self, account: str, seen: ReportProgress, report: UnderWay, *times: datetime) -> bool:
            begun = super().begin(account, seen, report, *times)
            return begun and self.mark_sent(account, report, world.address("one"))

    world.schedule = Overtaken(world.schedule.client, world.schedule.table)
    world.send(message)

    assert [len(world.mails(name)) for name in ("one", "two")] == [0, 1]


def test_a_refused_recipient_harms_no_other_and_is_tried_again(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("refused", DAILY), ("two", DAILY))
    world.mailbox.refuse = refusing(world.address("refused"))
    world.run_until(at("2026-11-24 07:10"))
    assert [len(world.mails(name)) for name in ("one", "refused", "two")] == [1, 0, 1]

    world.mailbox.refuse = refusing()
    world.run_until(at("2026-11-24 08:00"))

    assert [len(world.mails(name)) for name in ("one", "refused", "two")] == [1, 1, 1]


def test_no_address_is_logged(world: ReportsWorld, caplog: pytest.LogCaptureFixture) -> None:
    world.set(("refused", DAILY))
    world.mailbox.refuse = refusing(world.address("refused"))

    world.run_until(at("2026-11-24 07:10"))

    assert "a report could not be sent" in caplog.text
    assert not [record for record in caplog.records if world.address("refused") in str(record.__dict__)]


def test_a_message_that_ses_puts_off_is_sent_after_a_pause(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.mailbox.throttle = lambda mail: len(world.pauses) < 3
    world.run_until(at("2026-11-24 07:10"))

    assert len(world.mails("one")) == 1
    assert len(world.pauses) == 3


def test_a_message_whose_answer_is_lost_is_not_sent_again_at_once(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    taken = []

    def lose(post: Post) -> Answer:
        taken.append(post)
        raise ConnectionAbortedError

    with Receiver(lose) as lost:
        clients.sesv2.cache_clear()
        with pytest.MonkeyPatch.context() as environment:
            for name, value in CREDENTIALS.items():
                environment.setenv(name, value)
            environment.setenv("AWS_ENDPOINT_URL_SESV2", lost.url)
            reason = Mailer(clients.sesv2(), "backups@example.com", "https://page.example/").send(
                "one@example.com", Email("subject", "text", "html"), "https://page.example/unsubscribe"
            )
        clients.sesv2.cache_clear()

    assert reason == "ConnectionClosedError"
    assert len(taken) == 1


def test_a_recipient_who_is_reached_later_gets_the_same_report(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("refused", DAILY))
    world.mailbox.refuse = refusing(world.address("refused"))
    world.end(at("2026-11-24 01:00"))
    world.run_until(at("2026-11-24 07:10"))
    heard_of_later = world.end(at("2026-11-24 02:00"), "FAILED", recorded=at("2026-11-24 07:11"))

    world.mailbox.refuse = refusing()
    world.run_until(at("2026-11-25 07:10"))

    assert world.restore_points("refused") == world.restore_points("one")
    assert heard_of_later in world.restore_points("one")[1]
    assert [mail.subject for mail in world.mails("refused")] == [mail.subject for mail in world.mails("one")]


def test_a_recipient_who_cannot_be_reached_for_a_day_gets_the_next_report(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("refused", DAILY))
    world.mailbox.refuse = refusing(world.address("refused"))
    first, second = world.end(at("2026-11-24 01:00")), world.end(at("2026-11-25 01:00"))
    world.run_until(at("2026-11-25 06:00"))

    world.mailbox.refuse = lambda mail: mail.to == world.address("refused") and world.now < at("2026-11-25 07:00")
    world.run_until(at("2026-11-25 07:10"))

    assert world.restore_points("one") == [[first], [second]]
    assert world.restore_points("refused") == [[second]]


def test_if_no_recipient_could_be_reached_the_next_report_covers_both_days(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    first, second = world.end(at("2026-11-24 01:00")), world.end(at("2026-11-25 01:00"))
    world.run_until(at("2026-11-24 07:10"))
    world.mailbox.mails.clear()
    world.mailbox.refuse = lambda mail: world.now < at("2026-11-26 07:00")
    third = world.end(at("2026-11-26 01:00"))

    world.run_until(at("2026-11-26 12:00"))

    assert world.restore_points("one") == [[second, third]]
    assert first not in world.restore_points("one")[0]


def test_without_time_left_the_rest_is_left_for_later(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.now = at("2026-11-24 07:10")
    world.find_due()
    (message,) = world.messages()

    assert world.account_reports.send(message, world.now + timedelta(seconds=5)) == Sent(failed=1)
    assert world.send(message) == Sent(sent=1)


def test_with_no_backups_the_report_says_so(world: ReportsWorld) -> None:
    world.policies.save(
        world.policies.load(world.account, f"sp-{world.account}").after(
            changed("2026-11-01 12:00", clc_account_alias=world.account, server_policy_id=f"sp-{world.account}")
        )
    )
    world.set(("one", DAILY))

    world.run_until(at("2026-11-24 07:10"))

    (mail,) = world.mails("one")
    assert "no backups" in mail.subject.lower()
    assert "no backup" in mail.text.lower()
    assert "testServerId20181228013921" in mail.text


def test_the_weekly_digest_comes_on_mondays_with_the_whole_week(world: ReportsWorld) -> None:
    world.now = at("2026-11-19 12:00")
    world.set(("weekly", WEEKLY), ("daily", DAILY))
    ended = [world.end(at("2026-11-16 07:00") + number * 12 * HOUR) for number in range(28)]

    world.run_until(at("2026-11-30 12:00"))

    assert world.restore_points("weekly") == [ended[:14], ended[14:]]
    assert [len(points) for points in world.restore_points("daily")] == [2] * 11


def test_a_weekly_digest_that_reached_no_recipient_comes_with_the_next_reports(world: ReportsWorld) -> None:
    world.now = at("2026-11-19 12:00")
    world.set(("weekly", WEEKLY), ("daily", DAILY))
    ended = [world.end(at("2026-11-16 08:00") + number * DAY) for number in range(14)]
    world.run_until(at("2026-11-23 08:00"))
    world.mailbox.refuse = lambda mail: mail.to == world.address("weekly") and world.now < at("2026-12-01 07:00")

    world.run_until(at("2026-12-01 08:00"))

    assert world.restore_points("weekly") == [ended[:7], ended[7:]]
    assert "week to Mon 30 Nov 2026" in world.mails("weekly")[1].subject


def test_an_hour_that_is_changed_while_reports_go_out_sends_none_twice(world: ReportsWorld) -> None:
    world.now = at("2026-11-19 12:00")
    world.set(("weekly", WEEKLY), ("daily", DAILY))
    ended = [world.end(at("2026-11-16 08:00") + number * DAY) for number in range(14)]

    def change(mail: Mail) -> None:
        world.mailbox.on_mail = lambda mail: None
        world.set(("weekly", WEEKLY), ("daily", DAILY), hour=9)

    world.run_until(at("2026-11-23 06:00"))
    world.mailbox.on_mail = change
    world.run_until(at("2026-11-30 12:00"))

    assert world.restore_points("weekly") == [ended[:7], ended[7:]]
    reported = [point for points in world.restore_points("daily") for point in points]
    assert reported == ended[3:]


def test_an_old_message_changes_nothing_of_the_report_that_is_being_sent(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("refused", DAILY))
    world.mailbox.refuse = refusing(world.address("refused"))
    world.now = at("2026-11-24 07:10")
    world.find_due()
    (old,) = world.messages()
    world.send(old)
    world.run_until(at("2026-11-25 07:10"))
    before = world.schedule.load(world.account)[1]

    assert world.send(old) == Sent()

    assert world.schedule.load(world.account)[1] == before


def test_once_all_recipients_are_removed_no_other_gets_the_report(world: ReportsWorld) -> None:
    world.set(("one", DAILY), ("two", DAILY), ("three", DAILY))
    world.mailbox.on_mail = lambda mail: world.set()

    world.run_until(at("2026-11-24 07:10"))

    assert len(world.mailbox.mails) == 1


def test_a_zone_that_is_no_longer_known_prevents_neither_reports_nor_unsubscribing(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.schedule.client.update_item(
        TableName=world.schedule.table,
        Key=to_item({"account": world.account, "target": "Report.Recipients"}),
        UpdateExpression="SET #timezone = :gone",
        ExpressionAttributeNames={"#timezone": "timezone"},
        ExpressionAttributeValues=to_item({":gone": "Atlantis/Capital"}),
    )
    world.run_until(at("2026-11-24 07:10"))

    assert len(world.mails("one")) == 1
    (recipient,) = world.settings.load(world.account).recipients
    assert world.settings.unsubscribe(world.account, recipient.unsubscribe_token) == recipient.address


def test_a_report_waits_for_backup_events_that_are_not_read_yet(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.read_until = at("2026-11-24 06:30")
    world.run_until(at("2026-11-24 08:00"))
    assert world.mails("one") == []
    late = world.end(at("2026-11-24 06:45"), "FAILED", recorded=at("2026-11-24 08:00"))
    world.read_until = None

    world.run_until(at("2026-11-24 09:00"))

    assert world.restore_points("one") == [[late]]


def test_it_does_not_wait_for_ever_and_says_what_may_be_missing(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.read_until = at("2026-11-24 06:30")

    world.run_until(at("2026-11-24 09:30"))

    (mail,) = world.mails("one")
    assert "06:30" in mail.text
    assert "06:30" in mail.html


def test_after_an_outage_of_the_service_one_report_covers_all_days(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.run_until(at("2026-11-24 07:10"))
    ended = [world.end(at(f"2026-11-{day} 01:00")) for day in (25, 26, 27)]
    world.now = at("2026-11-27 09:00")

    world.tick()
    world.run_until(at("2026-11-28 07:10"))

    assert world.restore_points("one") == [[], ended, []]


def test_a_changed_hour_moves_the_next_report_and_loses_nothing(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.run_until(at("2026-11-24 08:00"))
    world.set(("one", DAILY), hour=9)
    ended = [world.end(at(text)) for text in ("2026-11-24 08:30", "2026-11-25 08:30", "2026-11-25 09:30")]

    world.run_until(at("2026-11-26 09:10"))

    assert world.restore_points("one") == [[], ended[:1], ended[1:2], ended[2:]]


def test_an_hour_that_is_over_for_the_day_is_tomorrows(world: ReportsWorld) -> None:
    world.set(("one", DAILY), hour=9)
    world.run_until(at("2026-11-24 10:00"))
    world.set(("one", DAILY), hour=7)
    ended = [world.end(at(text)) for text in ("2026-11-24 09:30", "2026-11-25 06:59", "2026-11-25 07:00")]

    world.run_until(at("2026-11-26 07:10"))

    assert world.restore_points("one") == [[], ended[:2], ended[2:]]


def test_without_recipients_of_reports_nothing_is_due(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    assert world.schedule.load(world.account)[1].due_at == at("2026-11-24 07:00")

    world.set(("one", NONE))

    assert world.schedule.load(world.account)[1].due_at is None
    world.now = at("2026-11-30 00:00")
    assert world.tick() == []


def test_a_recipient_who_comes_back_gets_no_report_of_the_time_between(world: ReportsWorld) -> None:
    world.set(("one", DAILY))
    world.run_until(at("2026-11-24 08:00"))
    world.set()
    world.end(at("2026-11-24 12:00"))
    world.now = at("2026-11-27 12:00")
    world.set(("one", DAILY))

    world.run_until(at("2026-11-28 08:00"))

    assert world.restore_points("one") == [[], []]


def test_deliveries_given_up_in_the_period_are_reported_but_not_a_webhook_that_is_off(
    world: ReportsWorld,
) -> None:
    now = at("2026-11-24 03:00")
    gone = world.target("https://gone.example/x", delivery=DeliveryMode.RETRY)
    off = world.target("https://off.example/x", enabled=False)
    for target in (gone, off):
        world.targets.record_failure(target, 503, "answered 503", slow=False, now=now)
    # The first is of a backup three days before, with its last retry tonight. The second was given up before.
    world.deliver(gone, at("2026-11-21 03:00"), now)
    world.deliver(gone, at("2026-11-20 03:00"), at("2026-11-23 03:00"))
    world.set(("one", DAILY))

    world.run_until(at("2026-11-24 07:10"))

    (mail,) = world.mails("one")
    assert "1 webhook failing" in mail.subject
    assert "gone.example: Failing" in mail.text
    assert "1 notification not delivered." in " ".join(mail.text.split())
    assert "off.example" not in mail.text


def test_recipients_that_an_earlier_version_has_stored_do_no_harm(world: ReportsWorld) -> None:
    world.schedule.client.put_item(
        TableName=world.schedule.table,
        Item=to_item(
            {"account": world.account, "target": "Report.Recipients", "addresses": ["a@b.example"], "revision": 1}
        ),
    )
    assert world.settings.load(world.account).recipients == ()

    world.set(("one", DAILY))
    world.run_until(at("2026-11-24 07:10"))

    assert len(world.mails("one")) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [("[]", "$"), ('{"at": "2026-11-24T07:00:00Z"}', "account"), ('{"account": "TEST", "at": "today"}', "$.at")],
)
def test_a_message_that_names_no_account_is_refused(world: ReportsWorld, body: str, field: str) -> None:
    with pytest.raises(InvalidMessage, match=field.replace("$", "[$]")):
        world.send(body)


def test_over_a_week_each_backup_is_reported_once(world: ReportsWorld) -> None:
    """Clocks change, backups come late and out of order, the hour is changed, and recipients cannot be reached."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"again: SEED={seed}")
    chance = random.Random(seed)
    start = chance.choice([at("2026-03-25 12:00"), at("2026-10-21 12:00")])
    world.now = start
    zone = chance.choice(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
    world.set(("one", DAILY), ("other", DAILY), ("weekly", WEEKLY), hour=chance.randrange(24), timezone=zone)
    first_due = start
    ended_at: dict[str, datetime] = {}
    world.mailbox.refuse = lambda mail: "other" in mail.to and chance.random() < 0.7
    for _ in range(8 * 24):
        for _ in range(chance.randrange(3)):
            ended = world.now + timedelta(seconds=chance.randrange(3600))
            delay = timedelta(seconds=chance.choice([0, 1, 60, 3600, 30 * 3600]))
            ended_at[world.end(ended, recorded=ended + delay)] = ended
        if chance.random() < 0.02:
            world.set(("one", DAILY), ("other", DAILY), ("weekly", WEEKLY), hour=chance.randrange(24), timezone=zone)
        progress = world.schedule.load(world.account)[1]
        if progress.due_at and not progress.reported:
            # A changed hour moves the first report, too, which covers the day before it.
            first_due = progress.due_at
        world.run_until(world.now + HOUR)
    world.mailbox.refuse = refusing()
    world.run_until(world.now + 4 * DAY)

    counted = Counter(point for points in world.restore_points("one") for point in points)
    expected = {point for point, ended in ended_at.items() if ended >= first_due - 22 * HOUR}
    assert expected <= set(counted)
    assert set(counted.values()) == {1}
    for name in ("other", "weekly"):
        others = Counter(point for points in world.restore_points(name) for point in points)
        assert set(others.values()) <= {1}
