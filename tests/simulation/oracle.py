"""The oracle: which reports are owed and which are false, from the FAQ's sentence and design section 7.

It knows the messages that the notifier recorded, in their order, and the ticks. It imports nothing of the product.
Nothing is ever forgotten here. Where the design leaves a report open, because the product forgets, the report is
optional: it may be made, but need not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise
from typing import NamedTuple

from tests.simulation.schedules import DAY, Interval, Schedule, WallClock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# The FAQ: "within 1 hour of the scheduled start time".
TOLERANCE = HOUR
SKEW = 5 * MINUTE
GAP = 10 * MINUTE
LEAST_LIMIT, MOST_LIMIT, LIMIT_WITHOUT_SCHEDULE = 3 * HOUR, 48 * HOUR, 24 * HOUR
# Starts are surely remembered for so long: a quarter-hourly policy's last hundred.
REMEMBERED = 20 * HOUR
# A report has to come so many ticks after it is owed, apart from ticks that reported something else of its policy.
PROMPT = 3
NEVER_BEFORE = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Start:
    """The message that a backup has started."""

    started_at: datetime
    restore_point: str | None = None


@dataclass(frozen=True)
class End:
    """The message that a backup has ended."""

    started_at: datetime
    finished_at: datetime
    status: str
    restore_point: str


@dataclass(frozen=True)
class Change:
    """The message of a server policy's state since `changed_at`."""

    changed_at: datetime
    schedule: Schedule
    active: bool = True
    longest_run: timedelta | None = None
    good_age: timedelta | None = None


type Fact = Start | End | Change


@dataclass(frozen=True)
class Received:
    """A message as it was recorded at `at`; `sent_at` is its SentTimestamp."""

    at: datetime
    sent_at: datetime
    fact: Fact


class Kind(StrEnum):
    """The three reports."""

    MISSING = "Missing"
    UNFINISHED = "Unfinished"
    STALE = "Stale"


@dataclass(frozen=True, order=True)
class Report:
    """A report: of a scheduled time, of a run by its start as it was sent, or since a last success."""

    kind: Kind
    date: datetime


@dataclass(frozen=True)
class Tick:
    """A tick, and the watermark as of which it judged; before the first watermark `NEVER_BEFORE`."""

    at: datetime
    as_of: datetime


class Gap(NamedTuple):
    """A gap between ticks of missed_backups."""

    stopped_at: datetime
    resumed_at: datetime


@dataclass
class Verdict:
    """`false`: the false reports, each with its tick. `lost`: the reports that were lost or late, by when due."""

    false: list[tuple[Tick, Report]] = field(default_factory=list)
    lost: dict[Report, Tick] = field(default_factory=dict)


@dataclass
class _Run:
    """An open run: its start as judged and as sent, and when its limit passes."""

    started_at: datetime
    report: Report
    restore_point: str | None
    limit_at: datetime
    optional: bool


class Judge:
    """Judges one server policy from what was received of it so far."""

    def __init__(self) -> None:
        self._change: Change | None = None
        self._order: tuple[bool, datetime, datetime] | None = None
        self._has_counted = False
        self._starts: list[datetime] = []
        self._events: list[tuple[datetime, bool]] = []
        # How long an interval waits for the end of the run that started then.
        self._waits: dict[datetime, timedelta] = {}
        self._missed: list[datetime] = []
        self._optional: list[datetime] = []
        self._reported: set[Report] = set()
        self._settled = NEVER_BEFORE
        self._remembered_from = NEVER_BEFORE
        self._judged_until = self._unsure_until = NEVER_BEFORE
        self._runs: list[_Run] = []
        self._known_runs: set[object] = set()
        self._ended: set[str] = set()
        self._closed_until = NEVER_BEFORE
        self._inactive_since: datetime | None = None
        self._success_at = NEVER_BEFORE
        self._counts_from = self._counts_latest = NEVER_BEFORE
        self._stale_was_reported = False

    @property
    def schedule(self) -> Schedule | None:
        """Return the schedule, or None while none is known or the policy is inactive."""
        return self._change.schedule if self._change and self._change.active else None

    # Messages

    def receive(self, received: Received) -> None:
        """Apply the message. A date in the future is judged as the message's SentTimestamp."""

        def judged(date: datetime) -> datetime:
            return date if date <= received.sent_at + SKEW else received.sent_at

        match received.fact:
            case Start() as start:
                self._add_start(judged(start.started_at))
                self._open(start, judged(start.started_at), received.sent_at)
            case End() as end:
                self._add_start(judged(end.started_at))
                self._close(end, judged(end.started_at), judged(end.finished_at))
            case Change() as change:
                changed_at = judged(change.changed_at)
                order = changed_at == change.changed_at, changed_at, received.sent_at
                if self._order is None or order > self._order:
                    self._order = order
                    self._apply(change, changed_at, received.sent_at)

    def _is_old(self, happened_at: datetime) -> bool:
        return happened_at < self._events[-1][0] - REMEMBERED

    def _add_event(self, happened_at: datetime, *, ended: bool) -> None:
        insort(self._events, (happened_at, ended))
        if self._is_old(happened_at):
            # It may move what an interval expected since, which is judged already.
            self._unsure_until = self._judged_until

    def _add_start(self, started_at: datetime) -> None:
        insort(self._starts, started_at)
        self._add_event(started_at, ended=False)
        self._waits.setdefault(started_at, max(24 * HOUR, self._run_limit(started_at)))
        self._missed = [expected for expected in self._missed if not _answers(started_at, expected)]

    def _open(self, start: Start, started_at: datetime, sent_at: datetime) -> None:
        if not self._is_judged:
            return
        known = start.restore_point or start.started_at
        closed = started_at <= self._closed_until or start.restore_point in self._ended
        if known in self._known_runs or closed:
            return
        self._known_runs.add(known)
        report = Report(Kind.UNFINISHED, start.started_at)
        limit_at = sent_at + self._run_limit(started_at)
        self._runs.append(_Run(started_at, report, start.restore_point, limit_at, self._is_old(started_at)))

    def _close(self, end: End, started_at: datetime, finished_at: datetime) -> None:
        self._add_event(finished_at, ended=True)
        self._ended.add(end.restore_point)
        self._closed_until = max(self._closed_until, started_at + SKEW)
        self._runs = [
            run for run in self._runs if run.started_at > self._closed_until and run.restore_point not in self._ended
        ]
        if end.status == "SUCCESS" and finished_at > self._success_at:
            if finished_at > self._since:
                self._stale_was_reported = False
            self._success_at = finished_at

    def _apply(self, change: Change, changed_at: datetime, sent_at: datetime) -> None:
        schedule = change.schedule if change.active else None
        # Before the first schedule nothing was expected, and nothing is known of that time.
        is_first = not self._has_counted
        counts_from = max(changed_at, sent_at) if is_first and not (self._change and self._events) else changed_at
        is_other = schedule != self.schedule
        if is_other:
            self._missed = [time for time in self._missed_until(changed_at) if time + TOLERANCE < changed_at]
            self._settled = counts_from
            self._remembered_from = sent_at if is_first else max(counts_from, sent_at - REMEMBERED)
        before, self._change = self._change, change
        if is_other and isinstance(schedule, Interval):
            # It waits for the runs before it as for its own.
            self._waits = {started_at: max(24 * HOUR, self._run_limit(started_at)) for started_at in self._waits}
        if schedule is None:
            self._runs = []
            self._inactive_since = self._inactive_since or changed_at
        else:
            self._count_age(before, counts_from, max(counts_from, sent_at))
            self._has_counted, self._inactive_since = True, None

    # Missing

    def _missed_until(self, as_of: datetime) -> list[datetime]:
        """Return the scheduled times whose hour ends by `as_of`, and that are neither answered nor reported yet."""
        match self.schedule:
            case WallClock() as wall_clock:
                for expected in wall_clock.between(self._settled, as_of - TOLERANCE):
                    if not self._is_answered(expected) and Report(Kind.MISSING, expected) not in self._reported:
                        known = self._missed if expected > self._remembered_from else self._optional
                        known.append(expected)
                self._settled = max(self._settled, as_of - TOLERANCE)
            case Interval(length):
                return [*self._missed, *self._missed_of_interval(length, as_of)]
        return self._missed

    def _is_answered(self, expected: datetime) -> bool:
        first = bisect_left(self._starts, expected - SKEW)
        return first < len(self._starts) and self._starts[first] <= expected + TOLERANCE

    def _missed_of_interval(self, length: timedelta, as_of: datetime) -> Iterator[datetime]:
        settled = self._settled
        while True:
            place = bisect_right(self._events, (settled, True))
            expected = self._after(self._events[place - 1], length) if place else settled
            if expected <= settled:
                expected = settled + length
            for event in self._events[place:]:
                if event[0] > expected + TOLERANCE:
                    break
                settled, expected = event[0], self._after(event, length)
            if expected + TOLERANCE > as_of:
                return
            yield expected
            settled = expected

    def _after(self, event: tuple[datetime, bool], length: timedelta) -> datetime:
        timestamp, ended = event
        return timestamp + (length if ended else max(length, self._waits[timestamp]))

    # Unfinished

    def _run_limit(self, started_at: datetime) -> timedelta:
        if self._change and self._change.longest_run:
            return self._change.longest_run
        match self.schedule:
            case WallClock() as wall_clock:
                pause = wall_clock.pause_around(started_at + SKEW)
            case Interval(length):
                pause = length
            case None:
                return LIMIT_WITHOUT_SCHEDULE
        return min(max(pause, LEAST_LIMIT), MOST_LIMIT)

    # Stale

    def _count_age(self, before: Change | None, changed_at: datetime, sent_at: datetime) -> None:
        """Set from when on the age counts, other than from the last success."""
        if not self._has_counted:
            begins_anew = True
        elif self._inactive_since:
            begins_anew = self._is_due_between(self._inactive_since, changed_at)
            self._stale_was_reported = self._stale_was_reported and not begins_anew
        else:
            is_other = before is not None and before.schedule != self.schedule
            begins_anew = is_other and not self._stale_was_reported and self._stale_at(self._since) <= changed_at
        if begins_anew:
            self._counts_from, self._counts_latest = changed_at, sent_at

    def _is_due_between(self, after: datetime, until: datetime) -> bool:
        match self.schedule:
            case WallClock() as wall_clock:
                return any(True for _ in wall_clock.between(after, until))
            case Interval(length):
                return until - after >= length
        return False

    @property
    def _since(self) -> datetime:
        return max(self._success_at, self._counts_from)

    def _stale_at(self, since: datetime) -> datetime:
        """Return when a last success of `since` is too old."""
        if self._change and self._change.good_age:
            return since + self._change.good_age
        match self.schedule:
            case WallClock() as wall_clock:
                _, second = islice(wall_clock.between(since, since + 200 * DAY), 2)
                return second + TOLERANCE + self._run_limit(second)
            case Interval(length):
                return since + 2 * (length + min(self._run_limit(since), MOST_LIMIT))
        return NEVER

    # Reports

    def owed(self, as_of: datetime) -> dict[Report, datetime]:
        """Return the reports that are owed if all messages sent before `as_of` are recorded, each with its limit."""
        self._judged_until = as_of
        limits = {
            Report(Kind.MISSING, expected): expected + TOLERANCE
            for expected in self._missed_until(as_of)
            if not (isinstance(self.schedule, Interval) and expected + TOLERANCE < self._unsure_until)
        }
        if self._is_judged:
            limits |= {run.report: run.limit_at for run in self._runs if not run.optional}
        if self.schedule and not self._stale_was_reported:
            latest = max(self._success_at, self._counts_latest)
            limits[Report(Kind.STALE, self._since)] = self._stale_at(latest)
        return {report: limit_at for report, limit_at in limits.items() if limit_at < as_of}

    def may_be(self, report: Report, as_of: datetime) -> bool:
        """Return whether the report may be made, though it is not owed."""
        match report.kind:
            case Kind.MISSING:
                is_optional = report.date in self._optional and not self._is_answered(report.date)
                return is_optional or report.date in self._missed_until(as_of)
            case Kind.UNFINISHED:
                return self._is_judged and any(run.report == report and run.limit_at < as_of for run in self._runs)
            case Kind.STALE:
                # A schedule that is heard of late counts no further back than starts are remembered.
                is_since = self._since <= report.date <= max(self._success_at, self._counts_latest)
                is_new = self.schedule is not None and not self._stale_was_reported
                return is_new and is_since and self._stale_at(report.date) < as_of

    @property
    def _is_judged(self) -> bool:
        return self._change is None or self._change.active

    def note(self, report: Report, gap: Gap) -> None:
        """Note that the report was made. `gap`: the newest one between ticks."""
        self._reported.add(report)
        match report.kind:
            case Kind.MISSING:
                self._note_miss(report.date, gap)
            case Kind.UNFINISHED:
                self._runs = [run for run in self._runs if run.report != report]
            case Kind.STALE:
                self._stale_was_reported = True

    def _note_miss(self, expected: datetime, gap: Gap) -> None:
        """Note the miss. It stands for all later ones whose deadline had passed when missed_backups ran again."""
        passed = gap.resumed_at - TOLERANCE
        stood_for = [time for time in self._missed_until(gap.resumed_at) if expected < time <= passed]
        self._optional = [time for time in self._optional if time != expected]
        if expected + TOLERANCE < gap.stopped_at:
            # It was missed before the gap. Whether those in the gap have a report of their own is left open.
            self._optional += stood_for
        self._missed = [time for time in self._missed if time != expected and time not in stood_for]
        if isinstance(self.schedule, Interval):
            self._settled = max([self._settled, expected, *stood_for])


def _answers(start: datetime, expected: datetime) -> bool:
    return expected - SKEW <= start <= expected + TOLERANCE


def verdict(received: Sequence[Received], ticks: Sequence[Tick], reports: Sequence[tuple[int, Report]]) -> Verdict:
    """Return the verdict on a policy's reports, each with the place of its tick.

    Between two ticks nothing changes unless a message is received, so only the last tick before each message is judged,
    and each tick that reported something.
    """
    judge, found = Judge(), Verdict()
    times, as_ofs = [tick.at for tick in ticks], [tick.as_of for tick in ticks]
    gaps = [Gap(NEVER_BEFORE, times[0]), *(Gap(*pair) for pair in pairwise(times) if pair[1] - pair[0] > GAP)]
    before_messages = {bisect_left(times, message.at) - 1 for message in received}
    places = [place for place, _ in reports]
    checked = sorted({*places} | {*before_messages, len(ticks) - 1} - {-1})
    unread, unnoted = deque(received), deque(reports)
    waiting: dict[Report, int] = {}
    for last, place in pairwise([-1, *checked]):
        tick = ticks[place]
        while unread and unread[0].at <= tick.at:
            judge.receive(unread.popleft())
        owed = judge.owed(tick.as_of) if tick.as_of > NEVER_BEFORE else {}
        waiting = {
            report: waiting.get(report, max(last + 1, bisect_right(as_ofs, limit_at)))
            for report, limit_at in owed.items()
        }
        for report, since in waiting.items():
            others = bisect_left(places, place) - bisect_left(places, since)
            if place - since - others > PROMPT:
                found.lost.setdefault(report, ticks[since])
        while unnoted and unnoted[0][0] == place:
            _, report = unnoted.popleft()
            if report not in owed and not judge.may_be(report, tick.as_of):
                found.false.append((tick, report))
            judge.note(report, [gap for gap in gaps if gap.resumed_at <= tick.at][-1])
            waiting.pop(report, None)
    return found
