"""The deliveries that a target's preferences suppress, and the preferences that may be set."""

from __future__ import annotations

from datetime import time

import pytest
from backup_webhooks.deliveries.suppression import reason_to_suppress
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences, QuietHours, check_preferences

from tests.support.policies import at

FAILURE, SUCCESS = EventType.FAILURE, EventType.SUCCESS
NIGHT = QuietHours(time(22), time(7), "Europe/Berlin")  # an hour ahead of UTC in winter
NOON, MIDNIGHT = at("12-20 12:00"), at("12-20 23:30")


def test_by_default_nothing_is_suppressed() -> None:
    for event in EventType:
        assert reason_to_suppress(Preferences(), event, MIDNIGHT) is None


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        ("12-20 20:59", False),
        ("12-20 21:00", True),
        ("12-20 23:30", True),
        ("12-20 05:59", True),
        ("12-20 06:00", False),
        # In summer Berlin is two hours ahead.
        ("07-20 20:00", True),
        ("07-20 05:00", False),
    ],
)
def test_quiet_hours_are_the_zones_own(now: str, quiet: bool) -> None:
    assert (at(now) in NIGHT) == quiet


def test_hours_within_a_day_are_quiet_from_the_one_to_before_the_other() -> None:
    lunch = QuietHours(time(12), time(13), "UTC")

    assert [at(f"12-20 {timestamp}") in lunch for timestamp in ("11:59", "12:00", "12:59", "13:00")] == [
        False,
        True,
        True,
        False,
    ]


def test_in_quiet_hours_only_grave_trouble_is_sent() -> None:
    preferences = Preferences(quiet_hours=NIGHT)

    sent = [event for event in EventType if reason_to_suppress(preferences, event, MIDNIGHT) is None]

    assert sent == [EventType.FAILURE, EventType.MISSING, EventType.UNFINISHED, EventType.STALE]
    assert reason_to_suppress(preferences, SUCCESS, MIDNIGHT) == "quiet hours: 22:00 to 07:00 Europe/Berlin"
    assert reason_to_suppress(preferences, SUCCESS, NOON) is None


@pytest.mark.parametrize(
    ("preferences", "field", "allowed"),
    [
        (Preferences(remind_hours=24), "preferences.remindHours", "only with changesOnly"),
        (Preferences(changes_only=True, remind_hours=0), "preferences.remindHours", "1 to 720"),
        (Preferences(changes_only=True, remind_hours=721), "preferences.remindHours", "1 to 720"),
        (Preferences(quiet_hours=QuietHours(time(7), time(7), "UTC")), "preferences.quietHours.until", "must differ"),
        (Preferences(quiet_hours=QuietHours(time(7), time(8), "Mars/Base")), "preferences.quietHours.timezone", "IANA"),
        (
            Preferences(quiet_hours=QuietHours(time(7), time(8), "../etc/passwd")),
            "preferences.quietHours.timezone",
            "IANA",
        ),
    ],
)
def test_invalid_preferences_are_refused_by_field(preferences: Preferences, field: str, allowed: str) -> None:
    with pytest.raises(InvalidTarget) as refused:
        check_preferences(preferences, [FAILURE])

    assert refused.value.field == field
    assert allowed in refused.value.reason


@pytest.mark.parametrize("event", [SUCCESS, EventType.RECOVERED])
def test_there_are_no_reminders_of_events_that_do_not_last(event: EventType) -> None:
    with pytest.raises(InvalidTarget, match=r"only with Backup\.Failure"):
        check_preferences(Preferences(changes_only=True, remind_hours=24), [event])


def test_valid_preferences_are_accepted() -> None:
    check_preferences(Preferences(changes_only=True, remind_hours=720, quiet_hours=NIGHT), [FAILURE, EventType.SUCCESS])


def test_a_zone_that_no_longer_exists_suppresses_nothing() -> None:
    gone = Preferences(quiet_hours=QuietHours(time(0), time(23, 59), "Mars/Base"))

    assert reason_to_suppress(gone, SUCCESS, NOON) is None
