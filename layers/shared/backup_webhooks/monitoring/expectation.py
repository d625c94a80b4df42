"""The rule of missed backups: from a server policy and its history to the next expected start, and the verdict on it.

Pure: values and moments in, values out (design section 6). Moments are aware and in UTC, kept to the millisecond.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import datetime, timedelta
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.schedules.quartz import QuartzCron

# The FAQ's promise: a backup is missing when it was not initiated within 1 hour of its scheduled start.
TOLERANCE = timedelta(hours=1)
# A server's clock may be ahead of the schedule's by this much.
CLOCK_SKEW = timedelta(minutes=5)
# A running backup whose end is never told must not silence its server for ever.
LONGEST_RUN = timedelta(hours=24)
# How long an event is kept though it seems settled: a message may overtake another on the queue, or a change of the
# schedule, by as much as an outage lasts.
KEPT_FOR = timedelta(days=2)
# A bound on what one server policy stores.
MAX_KEPT = 100


class History(Struct, frozen=True):
    """What is known of a server policy's backups.

    Every scheduled time up to `settled_until` was answered by a backup, or reported as missed, or lies before the
    schedule counts. `starts` and `finishes`, ascending, are the events since then, those of the last two days in any
    case, and the newest before it, from which an interval runs: enough to tell the same in any order of arrival.
    `overdue`, ascending, are times of an earlier schedule that had passed unanswered when it was replaced.
    """

    settled_until: datetime | None = None
    starts: tuple[datetime, ...] = ()
    finishes: tuple[datetime, ...] = ()
    overdue: tuple[datetime, ...] = ()
    last_started_at: datetime | None = None
    last_finished_at: datetime | None = None
    last_status: str | None = None

    def with_start(self, started_at: datetime) -> Self:
        """The history with this start in it; the same history if it is known already."""
        return replace(
            self,
            starts=_inserted(self.starts, started_at),
            overdue=tuple(expected for expected in self.overdue if not _answers(started_at, expected)),
            last_started_at=max(self.last_started_at or started_at, started_at),
        )

    def with_finish(self, finished_at: datetime, status: str) -> Self:
        """The history with this end of a backup in it; the newest one's status stands."""
        newest = self.last_finished_at is None or finished_at >= self.last_finished_at
        return replace(
            self,
            finishes=_inserted(self.finishes, finished_at),
            last_finished_at=finished_at if newest else self.last_finished_at,
            last_status=status if newest else self.last_status,
        )


class Schedule(Protocol):
    """When backups are to start."""

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """Advance `settled_until` over what backups have answered; the first scheduled time that none has.

        None where the schedule has no further time. Asks for a history with `settled_until`.
        """
        ...

    def last_until(self, settled: datetime, limit: datetime) -> datetime:
        """A moment, `settled` or later, that passes over the scheduled times up to `limit` and no others."""
        ...


class CronSchedule(Struct, frozen=True):
    """Backups at the times of a Quartz cron expression."""

    cron: QuartzCron

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """See `Schedule`. A start answers every time from an hour before it to 5 minutes after it."""
        settled = _settled(history)
        expected = self.cron.next_after(settled)
        for start in history.starts:
            if expected is not None and _answers(start, expected):
                settled = max(settled, start + CLOCK_SKEW)
                expected = self.cron.next_after(settled)
        return _compacted(history, settled), expected

    def last_until(self, settled: datetime, limit: datetime) -> datetime:
        """See `Schedule`."""
        return max(settled, limit)


class IntervalSchedule(Struct, frozen=True):
    """Backups that follow each other: an interval after the end of the one before."""

    interval: timedelta

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """See `Schedule`. Each start and end in turn moves the expectation, unless it came too late for it."""
        settled = _settled(history)
        expected = settled + self.interval
        events = sorted([(start, False) for start in history.starts] + [(finish, True) for finish in history.finishes])
        # What the interval runs from may lie before `settled_until`; of what lies there only the newest counts.
        basis = [event for event in events if event[0] <= settled][-1:]
        for timestamp, finished in basis + [event for event in events if event[0] > settled]:
            if timestamp > expected + TOLERANCE:
                break
            settled = max(settled, timestamp)
            following = timestamp + (self.interval if finished else max(self.interval, LONGEST_RUN))
            expected = following if following > settled else settled + self.interval
        return _compacted(history, settled), expected

    def last_until(self, settled: datetime, limit: datetime) -> datetime:
        """See `Schedule`."""
        return settled + max((limit - settled) // self.interval, 0) * self.interval


class Expectation(Struct, frozen=True):
    """A server policy's history, settled, and its next expected start: None where none is to come."""

    history: History
    expected_at: datetime | None


def expectation(schedule: Schedule | None, history: History) -> Expectation:
    """What is expected next; of an inactive policy (no schedule) only what is still to be reported."""
    if schedule is None:
        return Expectation(_compacted(history, None), next(iter(history.overdue), None))
    settled, expected_at = schedule.settle(history)
    return Expectation(settled, next(iter(history.overdue), expected_at))


def reported(schedule: Schedule | None, current: Expectation, resumed_at: datetime) -> Expectation:
    """What is expected next once the miss of `current.expected_at` is reported.

    `resumed_at` is when missed_backups last came back after a gap of its own: of the times whose deadline went by
    until then, this one report stands for all. Every time after it has a report of its own.
    """
    history, expected_at = current.history, current.expected_at
    if expected_at is None:
        raise ValueError("nothing is expected, so nothing was missed")
    gone_by = resumed_at - TOLERANCE
    if history.overdue:
        history = replace(history, overdue=tuple(other for other in history.overdue[1:] if other > gone_by))
        expected_at = _settled(history)
        if schedule is None or expected_at > gone_by:
            return expectation(schedule, history)
    if schedule is None:
        raise ValueError("an inactive policy expects nothing")
    return expectation(schedule, replace(history, settled_until=schedule.last_until(expected_at, gone_by)))


def rescheduled(before: Schedule | None, history: History, changed_at: datetime) -> History:
    """The history under a schedule that counts from `changed_at`.

    Times of the schedule before it whose deadline had passed by then, unanswered, are still to be reported.
    """
    overdue = list(history.overdue)
    past = history
    while before is not None and len(overdue) < MAX_KEPT:
        past, expected_at = before.settle(past)
        if expected_at is None or expected_at + TOLERANCE >= changed_at:
            break
        overdue.append(expected_at)
        past = replace(past, settled_until=expected_at)
    return replace(history, settled_until=changed_at, overdue=tuple(overdue))


def _compacted(history: History, settled: datetime | None) -> History:
    """The history without events that can matter no more, where all is settled up to `settled`.

    `settled_until` stays behind by as long as events are kept, so that one which comes late finds its place.
    """
    newest = max(history.starts[-1:] + history.finishes[-1:], default=None)
    if newest is None:
        return history
    crowd = [kept[-MAX_KEPT] for kept in (history.starts, history.finishes) if len(kept) >= MAX_KEPT]
    keep_from = max([newest - KEPT_FOR, *crowd])
    if settled is not None and history.settled_until is not None:
        keep_from = min(keep_from, settled)
        history = replace(history, settled_until=max(history.settled_until, keep_from))
    return replace(history, starts=_since(history.starts, keep_from), finishes=_since(history.finishes, keep_from))


def _since(timestamps: tuple[datetime, ...], keep_from: datetime) -> tuple[datetime, ...]:
    """The moments after `keep_from` less the clock skew, and the newest one before."""
    first = bisect_left(timestamps, keep_from - CLOCK_SKEW)
    return timestamps[max(first - 1, 0) :][-MAX_KEPT:]


def _answers(start: datetime, expected: datetime) -> bool:
    return expected - CLOCK_SKEW <= start <= expected + TOLERANCE


def _settled(history: History) -> datetime:
    if history.settled_until is None:
        raise ValueError("the history of a server policy without a schedule can't be settled")
    return history.settled_until


def _inserted(timestamps: tuple[datetime, ...], timestamp: datetime) -> tuple[datetime, ...]:
    if timestamp in timestamps:
        return timestamps
    ascending = list(timestamps)
    insort(ascending, timestamp)
    return tuple(ascending)
