"""The watermark: ticks come each minute, and a heartbeat counts 7 minutes after it was seen as read."""

from __future__ import annotations

from copy import replace
from datetime import datetime, timedelta

from backup_webhooks.monitoring.watermark import Watermark

from tests.support.policies import at

GRACE = timedelta(minutes=7)
NOON = at("12-19 12:00")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def run(watermark: Watermark, start: datetime, ticks: int, *, read: bool = True) -> Watermark:
    """Return the watermark after ticks from `start` on. `read`: each heartbeat is read by the next tick."""
    for minute in range(ticks):
        now = start + minutes(minute)
        watermark = watermark.after_tick(now, GRACE)
        if read:
            watermark = replace(watermark, read=frozenset({now}))
    return watermark


def test_nothing_is_judged_before_a_heartbeat_counts() -> None:
    watermark = run(Watermark(), NOON, 8)

    assert watermark.as_of(NOON + minutes(7), GRACE) is None


def test_without_faults_the_as_of_follows_by_the_grace_and_a_tick() -> None:
    watermark = run(Watermark(), NOON, 61)

    assert watermark.as_of(NOON + minutes(60), GRACE) == NOON + minutes(52)


def test_while_the_queue_is_not_read_the_as_of_stands_still() -> None:
    watermark = run(Watermark(), NOON, 61)
    watermark = run(watermark, NOON + minutes(61), 180, read=False)

    assert watermark.as_of(NOON + minutes(240), GRACE) == NOON + minutes(60)


def test_after_a_backlog_the_as_of_waits_for_what_was_received_with_it() -> None:
    watermark = run(Watermark(), NOON, 61)
    watermark = run(watermark, NOON + minutes(61), 180, read=False)
    read = NOON + minutes(240)
    watermark = replace(watermark, read=frozenset(watermark.unread))

    watermark = run(watermark, NOON + minutes(241), 7, read=False)
    assert watermark.as_of(NOON + minutes(247), GRACE) == NOON + minutes(60)

    watermark = run(watermark, NOON + minutes(248), 1, read=False)
    assert watermark.as_of(NOON + minutes(248), GRACE) == read


def test_a_new_heartbeat_that_is_read_before_old_ones_does_not_count_yet() -> None:
    watermark = run(Watermark(), NOON, 61)
    watermark = run(watermark, NOON + minutes(61), 180, read=False)
    newest = NOON + minutes(240)
    watermark = replace(watermark, read=frozenset({newest}))

    watermark = run(watermark, NOON + minutes(241), 10, read=False)
    assert watermark.as_of(NOON + minutes(250), GRACE) == NOON + minutes(60)

    watermark = replace(watermark, read=frozenset(watermark.unread))
    watermark = run(watermark, NOON + minutes(251), 1)
    assert watermark.as_of(NOON + minutes(251), GRACE) == newest


def test_a_heartbeat_that_was_lost_holds_up_the_others_for_five_visibility_timeouts() -> None:
    watermark = run(Watermark(), NOON, 61)
    watermark = replace(watermark, unread=(NOON + minutes(60.5),), read=frozenset({NOON + minutes(60)}))

    watermark = run(watermark, NOON + minutes(61), 17)
    assert watermark.as_of(NOON + minutes(77), GRACE) == NOON + minutes(60)

    watermark = run(watermark, NOON + minutes(78), 1)
    assert watermark.as_of(NOON + minutes(78), GRACE) == NOON + minutes(70)


def test_a_heartbeat_from_the_future_is_none() -> None:
    watermark = replace(run(Watermark(), NOON, 61), read=frozenset({NOON + minutes(10**6)}))
    watermark = run(watermark, NOON + minutes(61), 20)

    assert watermark.as_of(NOON + minutes(80), GRACE) == NOON + minutes(72)


def test_a_gap_between_ticks_is_known_until_the_next_one() -> None:
    watermark = run(Watermark(), NOON, 61)
    assert watermark.resumed_at == NOON

    back = NOON + timedelta(hours=26)
    watermark = run(watermark, back, 100)
    assert watermark.resumed_at == back


def test_the_stored_watermark_does_not_grow() -> None:
    assert len(run(Watermark(), NOON, 5000).seen) <= 9


def test_a_tick_that_comes_late_or_twice_takes_nothing_back() -> None:
    watermark = run(Watermark(), NOON, 61)

    again = watermark.after_tick(NOON + minutes(30), GRACE)

    assert again.ran_at == watermark.ran_at
    assert again.as_of(NOON + minutes(60), GRACE) == watermark.as_of(NOON + minutes(60), GRACE)
