"""A target's health: when its circuit opens, and when it is switched off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.targets.health import CIRCUIT_OPENS_AFTER, GIVEN_UP_AFTER, SETTLED_AFTER, SLOW, Health

NOW = datetime(2018, 12, 20, 17, 0, 6, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def failing(since: datetime = NOW, **changes: Any) -> Health:
    facts: dict[str, Any] = {"consecutive_failures": 1, "failing_since": since, "last_reason": "answered 500"}
    return Health(**(facts | changes))


def reason(health: Health, now: datetime = NOW) -> str:
    text = health.reason_to_switch_off(now)
    assert text
    return text


def test_the_limits_are_3_failures_5_seconds_5_days_and_60_seconds() -> None:
    limits = (CIRCUIT_OPENS_AFTER, SLOW, GIVEN_UP_AFTER, SETTLED_AFTER)

    assert limits == (3, timedelta(seconds=5), timedelta(days=5), timedelta(seconds=60))


def test_a_target_without_attempts_is_healthy() -> None:
    assert not Health().circuit_open
    assert not Health().confirmed_by(NOW)
    assert Health().reason_to_switch_off(NOW) is None


@pytest.mark.parametrize(
    ("failures", "circuit_open"), [(0, False), (1, False), (2, False), (3, True), (4, True), (10**6, True)]
)
def test_the_circuit_opens_at_the_third_failure_in_a_row(failures: int, circuit_open: bool) -> None:
    assert failing(consecutive_failures=failures).circuit_open is circuit_open


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_the_circuit_of_a_slow_target_is_open_even_if_it_succeeds(failures: int) -> None:
    assert Health(consecutive_failures=failures, slow=True).circuit_open


def test_long_failing_alone_does_not_open_the_circuit() -> None:
    assert not failing(NOW - timedelta(days=30), consecutive_failures=2, confirmed_at=NOW).circuit_open


@pytest.mark.parametrize(
    ("after", "confirmed"),
    [
        (-timedelta(hours=1), False),
        (timedelta(0), False),
        (timedelta(seconds=60) - INSTANT, False),
        (timedelta(seconds=60), False),
        (timedelta(seconds=60) + INSTANT, True),
        (timedelta(days=30), True),
    ],
    ids=str,
)
def test_a_failure_confirms_the_first_once_it_comes_more_than_60_seconds_later(
    after: timedelta, confirmed: bool
) -> None:
    assert failing(NOW).confirmed_by(NOW + after) is confirmed


def test_a_failure_is_confirmed_once() -> None:
    confirmed = failing(NOW, confirmed_at=NOW + timedelta(minutes=2))

    assert not confirmed.confirmed_by(NOW + timedelta(minutes=3))


def test_a_target_that_answers_410_is_switched_off_at_its_first_failure() -> None:
    assert reason(failing(last_status=410)) == "answered 410 Gone"


def test_410_is_the_reason_even_after_five_days() -> None:
    assert "410" in reason(failing(last_status=410, confirmed_at=NOW - GIVEN_UP_AFTER))


@pytest.mark.parametrize("status", [None, 200, 301, 400, 401, 404, 409, 411, 429, 500, 503])
def test_no_other_answer_switches_a_target_off_by_itself(status: int | None) -> None:
    assert failing(last_status=status, consecutive_failures=1000).reason_to_switch_off(NOW) is None


@pytest.mark.parametrize("status", [None, 404, 503])
def test_five_days_after_its_failing_was_confirmed_a_target_is_switched_off(status: int | None) -> None:
    health = failing(NOW - timedelta(minutes=2), confirmed_at=NOW, last_status=status)

    assert health.reason_to_switch_off(NOW) is None
    assert health.reason_to_switch_off(NOW + timedelta(days=5) - INSTANT) is None
    assert reason(health, NOW + timedelta(days=5)) == "nothing but failures for 5 days; the last: answered 500"
    assert reason(health, NOW + timedelta(days=50)) == "nothing but failures for 5 days; the last: answered 500"


def test_failing_that_was_never_confirmed_switches_nothing_off() -> None:
    assert failing(NOW - timedelta(days=50), consecutive_failures=2).reason_to_switch_off(NOW) is None


def test_slowness_switches_nothing_off() -> None:
    assert Health(slow=True).reason_to_switch_off(NOW) is None
