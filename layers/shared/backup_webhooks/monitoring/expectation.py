"""The rule of missed backups: from a server policy and its history to the next expected start (design section 7).

Pure. Timestamps are aware, in UTC, to the millisecond.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.events.messages import TOLERANCE
from backup_webhooks.schedules.quartz import QuartzCron

# A server's clock may be ahead of the schedule's by this much.
CLOCK_SKEW = timedelta(minutes=5)
# An interval waits at least so long for the end of a run.
_LONGEST_WAIT = timedelta(hours=24)
# Bounds of a run limit that follows from the schedule.
SHORTEST_RUN_LIMIT, LONGEST_RUN_LIMIT = timedelta(hours=3), timedelta(hours=48)
# Settled events are kept for so long: a message may overtake another, or a change of the schedule, by as much as an
# outage lasts.
KEPT_FOR = timedelta(days=2)
# A bound on a server policy's item.
MAX_KEPT = 100


class History(Struct, frozen=True):
    """The starts and ends of a server policy's backups, as far as they still matter.

    Every scheduled time up to `settled_until` was answered by a backup, or reported as missed, or lies before the
    schedule counts; of a policy without a schedule it is the time up to which starts are forgotten. `starts` and
    `finishes`, ascending, are the events since then, all those of the last two days, and the newest one before, from
    which an interval runs. With them the verdict is the same in any order of arrival. `overdue`, ascending, are times
    that had passed unanswered when their schedule was replaced, or when too many starts came after them.
    """

    settled_until: datetime | None = None
    starts: tuple[datetime, ...] = ()
    finishes: tuple[datetime, ...] = ()
    overdue: tuple[datetime, ...] = ()
    last_status: str | None = None

    @property
    def remembered_from(self) -> datetime | None:
        """Return the time since which each event is known; None if none was forgotten."""
        newest = max(self.starts[-1:] + self.finishes[-1:], default=None)
        if newest is None:
            return None
        oldest_of_most = [kept[-MAX_KEPT] for kept in (self.starts, self.finishes) if len(kept) >= MAX_KEPT]
        return max([newest - KEPT_FOR, *oldest_of_most])

    @property
    def last_started_at(self) -> datetime | None:
        """Return the newest start, or None before the first."""
        return self.starts[-1] if self.starts else None

    @property
    def last_finished_at(self) -> datetime | None:
        """Return the newest end, or None before the first."""
        return self.finishes[-1] if self.finishes else None

    def with_start(self, started_at: datetime) -> Self:
        """Return the history with this start; an equal one if the start is known already."""
        return replace(
            self,
            starts=_inserted(self.starts, started_at),
            overdue=tuple(expected for expected in self.overdue if not _answers(started_at, expected)),
        )

    def with_finish(self, finished_at: datetime, status: str) -> Self:
        """Return the history with this end of a backup. `last_status` is that of the newest end."""
        newest = self.last_finished_at is None or finished_at >= self.last_finished_at
        return replace(
            self,
            finishes=_inserted(self.finishes, finished_at),
            last_status=status if newest else self.last_status,
        )


class Schedule(Protocol):
    """The times at which backups are to start."""

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """Return the history with `settled_until` advanced over answered times, and the first unanswered time.

        The time is None if the schedule has no further one. Raise `ValueError` if the history has no `settled_until`.
        """
        ...

    def last_until(self, history: History, limit: datetime) -> datetime:
        """Return a timestamp that passes over the times up to `limit` that the history leaves open, and no others."""
        ...

    def expected_if_ended(self, started_at: datetime, expected_at: datetime | None) -> datetime | None:
        """Return the next expected start if the run of `started_at` ended at once. `expected_at`: while it is open."""
        ...

    def pause_at(self, started_at: datetime) -> timedelta:
        """Return the pause between scheduled starts in which a run starts, if it lies within the run limit's bounds.

        A shorter or longer one may be returned as the bound.
        """
        ...

    def stale_at(self, since: datetime, run_limit: Callable[[datetime], timedelta]) -> datetime | None:
        """Return when a last success of `since` is too old. None if the schedule has no time to come by then.

        `run_limit`: returns the limit of a run that starts then.
        """
        ...

    def next_start(self, after: datetime) -> datetime | None:
        """Return the first scheduled start after a time, if all goes well; None if there is none."""
        ...


class CronSchedule(Struct, frozen=True):
    """Backups at the times of a Quartz cron expression."""

    cron: QuartzCron

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """Do as `Schedule` says. A start answers every time from an hour before it to 5 minutes after it."""
        settled = _settled_until(history)
        expected = self.cron.next_after(settled)
        for start in history.starts:
            while expected is not None and expected + TOLERANCE < start and _is_crowded(history, start):
                history, settled = _with_overdue(history, expected), expected
                expected = self.cron.next_after(settled)
            # From one time to the next: when the clocks go back, a search that begins between them may miss one.
            while expected is not None and _answers(start, expected):
                settled, expected = expected, self.cron.next_after(expected)
        return _compacted(history, settled), expected

    def last_until(self, history: History, limit: datetime) -> datetime:
        """Do as `Schedule` says."""
        settled = _settled_until(history)
        # From one time to the next, as in `settle`.
        last = max(settled, limit - 3 * TOLERANCE)
        following = self.cron.next_after(last)
        while following is not None and following <= limit:
            last, following = following, self.cron.next_after(following)
        return last

    def expected_if_ended(self, started_at: datetime, expected_at: datetime | None) -> datetime | None:
        """Do as `Schedule` says. Ends do not matter."""
        return expected_at

    def pause_at(self, started_at: datetime) -> timedelta:
        """Do as `Schedule` says."""
        began = started_at + CLOCK_SKEW
        following = self.cron.next_after(began)
        if following is None:
            return LONGEST_RUN_LIMIT
        # First the shortest that matters, as a frequent schedule has many times in the longest.
        for longest in (SHORTEST_RUN_LIMIT, LONGEST_RUN_LIMIT):
            previous, later = None, self.cron.next_after(following - longest)
            while later is not None and later <= began:
                previous, later = later, self.cron.next_after(later)
            if previous:
                return following - previous
        return LONGEST_RUN_LIMIT

    def stale_at(self, since: datetime, run_limit: Callable[[datetime], timedelta]) -> datetime | None:
        """Do as `Schedule` says: the second scheduled start, its deadline and its run limit have passed."""
        first = self.cron.next_after(since)
        second = first and self.cron.next_after(first)
        return second and second + TOLERANCE + run_limit(second)

    def next_start(self, after: datetime) -> datetime | None:
        """Do as `Schedule` says."""
        return self.cron.next_after(after)


class IntervalSchedule(Struct, frozen=True):
    """Backups that each start an interval after the end of the one before.

    `longest_wait`: how long it waits for the end of a run, at least 24 h.
    """

    interval: timedelta
    longest_wait: timedelta = _LONGEST_WAIT

    def settle(self, history: History) -> tuple[History, datetime | None]:
        """Do as `Schedule` says. Each start and end in turn moves the expected start, unless it came too late."""
        settled = _settled_until(history)
        expected = settled + self.interval
        events = sorted([(start, False) for start in history.starts] + [(finish, True) for finish in history.finishes])
        # The interval may run from an event before `settled_until`: the newest one there.
        basis = [event for event in events if event[0] <= settled][-1:]
        for timestamp, finished in basis + [event for event in events if event[0] > settled]:
            while timestamp > expected + TOLERANCE and _is_crowded(history, timestamp):
                history, settled = _with_overdue(history, expected), expected
                expected = settled + self.interval
            if timestamp > expected + TOLERANCE:
                break
            settled = max(settled, timestamp)
            following = timestamp + (self.interval if finished else self._wait)
            expected = following if following > settled else settled + self.interval
        return _compacted(history, settled), expected

    def last_until(self, history: History, limit: datetime) -> datetime:
        """Do as `Schedule` says: an end among these times moves those after it."""
        settled = _settled_until(history)
        _, following = self.settle(history)
        while following is not None and following <= limit:
            settled = following
            _, following = self.settle(replace(history, settled_until=settled))
        return settled

    @property
    def _wait(self) -> timedelta:
        return max(self.interval, self.longest_wait, _LONGEST_WAIT)

    def expected_if_ended(self, started_at: datetime, expected_at: datetime | None) -> datetime | None:
        """Do as `Schedule` says."""
        return min(expected_at or started_at + self.interval, started_at + self.interval)

    def pause_at(self, started_at: datetime) -> timedelta:
        """Do as `Schedule` says."""
        return self.interval

    def stale_at(self, since: datetime, run_limit: Callable[[datetime], timedelta]) -> datetime | None:
        """Do as `Schedule` says: twice the interval and the run limit have passed."""
        return since + 2 * (self.interval + min(run_limit(since), LONGEST_RUN_LIMIT))

    def next_start(self, after: datetime) -> datetime | None:
        """Do as `Schedule` says."""
        return after + self.interval


def same_times(one: Schedule | None, other: Schedule | None) -> bool:
    """Return whether two schedules expect the same starts. How long an interval waits for a run does not matter."""
    match one, other:
        case IntervalSchedule(interval), IntervalSchedule(other_interval):
            return interval == other_interval
    return one == other


class Expectation(Struct, frozen=True):
    """A server policy's settled history, and its next expected start; None if none is to come."""

    history: History
    expected_at: datetime | None


def next_expectation(schedule: Schedule | None, history: History) -> Expectation:
    """Return what is expected next. An inactive policy (no schedule) only has misses that are still to be reported."""
    if schedule is None:
        return Expectation(_compacted(history, None), next(iter(history.overdue), None))
    settled, expected_at = schedule.settle(history)
    return Expectation(settled, next(iter(history.overdue), expected_at))


def after_report(schedule: Schedule | None, current: Expectation, resumed_at: datetime) -> Expectation:
    """Return what is expected next once the miss of `current.expected_at` is reported. Raise `ValueError` without one.

    `resumed_at`: when missed_backups last ran again after a gap. This one report stands for all times whose deadline
    passed until then. Each later time has its own report.
    """
    history, expected_at = current.history, current.expected_at
    if expected_at is None:
        raise ValueError("nothing is expected, so nothing was missed")
    passed_until = resumed_at - TOLERANCE
    if history.overdue:
        history = replace(history, overdue=tuple(other for other in history.overdue[1:] if other > passed_until))
        expected_at = _settled_until(history)
        if schedule is None or expected_at > passed_until:
            return next_expectation(schedule, history)
    if schedule is None:
        # It was expected by a schedule that cannot be used any more.
        return next_expectation(schedule, history)
    settled = replace(history, settled_until=expected_at)
    return next_expectation(schedule, replace(history, settled_until=schedule.last_until(settled, passed_until)))


def after_schedule_change(
    before: Schedule | None, history: History, changed_at: datetime, counts_from: datetime
) -> History:
    """Return the history under a new schedule.

    Unanswered times of the schedule before, whose deadline had passed by `changed_at`, are still to be reported.
    """
    overdue = list(history.overdue)
    past = history
    while before is not None and len(overdue) < MAX_KEPT:
        past, expected_at = before.settle(past)
        if expected_at is None or expected_at + TOLERANCE >= changed_at:
            break
        overdue.append(expected_at)
        past = replace(past, settled_until=expected_at)
    return replace(history, settled_until=counts_from, overdue=tuple(overdue))


def _compacted(history: History, settled: datetime | None) -> History:
    """Return the history without the events that no longer matter once all is settled up to `settled`.

    `settled_until` stays behind by as long as events are kept, so that a late event finds its place.
    """
    keep_from = history.remembered_from
    if keep_from is None:
        return history
    if settled is not None:
        keep_from = min(keep_from, settled)
    history = replace(history, settled_until=max(history.settled_until or keep_from, keep_from))
    return replace(history, starts=_since(history.starts, keep_from), finishes=_since(history.finishes, keep_from))


def _since(timestamps: tuple[datetime, ...], keep_from: datetime) -> tuple[datetime, ...]:
    """Return the timestamps from the clock skew before `keep_from`, and the newest one earlier; at most `MAX_KEPT`."""
    first = bisect_left(timestamps, keep_from - CLOCK_SKEW)
    return timestamps[max(first - 1, 0) :][-MAX_KEPT:]


def _is_crowded(history: History, after: datetime) -> bool:
    """Return whether as many events as are kept came from then on. They cannot wait for an earlier time's report."""
    kept = (history.starts, history.finishes)
    most = max(len(timestamps) - bisect_left(timestamps, after) for timestamps in kept)
    return most >= MAX_KEPT and len(history.overdue) < MAX_KEPT


def _with_overdue(history: History, expected: datetime) -> History:
    return replace(history, overdue=_inserted(history.overdue, expected))


def _answers(start: datetime, expected: datetime) -> bool:
    return expected - CLOCK_SKEW <= start <= expected + TOLERANCE


def _settled_until(history: History) -> datetime:
    if history.settled_until is None:
        raise ValueError("the history of a server policy without a schedule cannot be settled")
    return history.settled_until


def _inserted(timestamps: tuple[datetime, ...], timestamp: datetime) -> tuple[datetime, ...]:
    if timestamp in timestamps:
        return timestamps
    ascending = list(timestamps)
    insort(ascending, timestamp)
    return tuple(ascending)
