"""The simulated servers: what they really did, and the copies of their messages on the queue."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from tests.simulation.oracle import HOUR, MINUTE, Change, End, Fact, Start
from tests.simulation.schedules import (
    DAY,
    Interval,
    Schedule,
    WallClock,
    daily,
    hourly,
    monday_to_friday,
    monthly,
    quarter_hourly,
    weekly,
)
from tests.simulation.service import Copy

_SECOND = timedelta(seconds=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Asia/Kolkata",
)
# Each is followed by a change of the clocks within two weeks, in one hemisphere or both.
BEGINS = tuple(datetime(2018, *day, tzinfo=UTC) for day in ((3, 1), (3, 18), (9, 20), (10, 18), (10, 25), (12, 10)))
LASTS = 28 * DAY
# The visibility timeout of BackupEventsQueue: a message comes again so long after its consumer was killed.
VISIBILITY = 3 * MINUTE
# The watermark's grace outlasts two killed consumers.
KILLS_WITHIN_GRACE = 2


@dataclass(frozen=True)
class Run:
    """A backup. `ended_at`: None if it hangs for ever."""

    started_at: datetime
    ended_at: datetime | None
    status: str = "SUCCESS"


@dataclass(frozen=True)
class Habits:
    """How often things go wrong: shares of the backups, and of the messages."""

    missed: float = 0
    late: float = 0
    hung: float = 0
    long: float = 0
    failed: float = 0
    extra: float = 0
    lost: float = 0
    delayed: float = 0
    doubled: float = 0
    killed: float = 0
    ahead: float = 0
    changes: int = 0


@dataclass
class Server:
    """A server under one policy, and its messages.

    `facts`: of each run, its start and its end. `notes`: why no observer could know a fact in time: its message was
    lost, late, or dated ahead.
    """

    policy_id: str
    habits: Habits
    changes: list[Change]
    facts: dict[Run, list[Start | End]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    notes: dict[Fact, str] = field(default_factory=dict)


def servers(chance: random.Random, begin: datetime, number: int) -> list[Server]:
    return [_server(chance, begin, f"policy-{place}") for place in range(number)]


def _server(chance: random.Random, begin: datetime, policy_id: str) -> Server:
    habits = chance.choice([_calm, _failing, _unreliable_messages, _wrong_clock, _everything])(chance)
    server = Server(policy_id, habits, _changes(chance, begin, habits))
    for change in server.changes:
        _send(chance, server, change, change.changed_at, lost=0)
    for run in _runs(chance, habits, server.changes, begin + LASTS):
        _send_run(chance, server, run, f"{policy_id} {run.started_at:%m-%d %H:%M:%S}")
    return server


def _calm(chance: random.Random) -> Habits:
    return Habits(missed=chance.choice([0, 0.05]), changes=chance.choice([0, 0, 2]))


def _failing(chance: random.Random) -> Habits:
    return Habits(missed=0.1, late=0.1, hung=0.1, long=0.1, failed=0.2, extra=0.1, changes=chance.randrange(4))


def _unreliable_messages(chance: random.Random) -> Habits:
    return Habits(missed=0.05, hung=0.03, lost=0.05, delayed=0.1, doubled=0.2, killed=0.1, changes=chance.randrange(5))


def _wrong_clock(chance: random.Random) -> Habits:
    return Habits(missed=0.05, hung=0.05, failed=0.1, ahead=0.2, changes=chance.randrange(2))


def _everything(chance: random.Random) -> Habits:
    return Habits(
        missed=0.08,
        late=0.05,
        hung=0.08,
        long=0.05,
        failed=0.2,
        extra=0.05,
        lost=0.05,
        delayed=0.05,
        doubled=0.1,
        killed=0.05,
        ahead=0.03,
        changes=chance.randrange(6),
    )


def schedule(chance: random.Random) -> Schedule:
    zone, hour, minute = chance.choice(ZONES), chance.randrange(24), chance.randrange(60)
    kind = chance.choices(
        ["quarter-hourly", "hourly", "daily", "weekly", "Monday to Friday", "monthly", "interval"],
        [1, 3, 12, 4, 6, 3, 11],
    )
    match kind:
        case ["quarter-hourly"]:
            return quarter_hourly(zone)
        case ["hourly"]:
            return hourly(minute, zone)
        case ["daily"]:
            # Often in the hours that clock changes skip or repeat.
            return daily(chance.choice([hour, 0, 1, 2, 3]), minute, zone)
        case ["weekly"]:
            return weekly(chance.randrange(7), hour, minute, zone)
        case ["Monday to Friday"]:
            return monday_to_friday(hour, minute, zone)
        case ["monthly"]:
            return monthly(chance.choice([1, 15, 31]), hour, minute, zone)
    return Interval(chance.choice([2, 6, 12, 24, 48]) * HOUR)


def _changes(chance: random.Random, begin: datetime, habits: Habits) -> list[Change]:
    """Return the states of the policy: its schedule, and in between renamings, pauses and limits of its own."""
    change = Change(begin + _some(chance, 60 * MINUTE), schedule(chance), active=chance.random() < 0.95)
    changes = [change]
    for _ in range(habits.changes):
        at = changes[-1].changed_at + _some(chance, LASTS / (habits.changes + 1)) + MINUTE
        new_schedule, active, longest_run, good_age = change.schedule, True, change.longest_run, change.good_age
        match chance.randrange(5):
            case 0 | 1:
                active = not change.active
            case 2:
                new_schedule = schedule(chance)
            case 3:
                longest_run = chance.choice([None, 30 * MINUTE, 5 * HOUR, 60 * HOUR])
            case 4:
                good_age = chance.choice([None, 30 * HOUR, 10 * DAY])
        change = Change(at, new_schedule, active, longest_run, good_age)
        changes.append(change)
    return changes


def _runs(chance: random.Random, habits: Habits, changes: Sequence[Change], end: datetime) -> list[Run]:
    """Return what the server does under its changes, each known to it at once."""
    runs: list[Run] = []
    down_until = changes[0].changed_at
    for change, until in _eras(changes, end):
        # An interval counts from the end of the run before, from the change, or from a run that was left out.
        due = change.changed_at
        while (scheduled := _next_start(change.schedule, due)) < until:
            due = scheduled
            if chance.random() < habits.missed / 5:
                down_until = scheduled + _some(chance, 4 * DAY)
            if chance.random() < habits.missed or scheduled < down_until:
                continue
            run = _run(chance, habits, scheduled, change.schedule)
            runs.append(run)
            if isinstance(change.schedule, Interval):
                due = run.ended_at or run.started_at
            elif chance.random() < habits.extra:
                runs.append(_run(chance, Habits(), scheduled + _some(chance, 3 * HOUR), change.schedule))
    return runs


def _eras(changes: Sequence[Change], end: datetime) -> Iterator[tuple[Change, datetime]]:
    """Yield the first change of each time in which the policy was active with one schedule, and when it ended."""
    for _, group in groupby(changes, key=lambda change: (change.schedule, change.active)):
        era = list(group)
        following = changes.index(era[-1]) + 1
        if era[0].active:
            yield era[0], changes[following].changed_at if following < len(changes) else end


def _next_start(schedule: Schedule, after: datetime) -> datetime:
    match schedule:
        case WallClock() as wall_clock:
            return next(wall_clock.between(after, after + 100 * DAY))
        case Interval(length):
            return after + length


def _run(chance: random.Random, habits: Habits, scheduled: datetime, schedule: Schedule) -> Run:
    early = timedelta() if isinstance(schedule, Interval) else 4 * MINUTE
    started_at = scheduled + _some(chance, 5 * MINUTE) - _some(chance, early)
    if chance.random() < habits.late:
        started_at = scheduled + 50 * MINUTE + _some(chance, 30 * MINUTE)
    if chance.random() < habits.hung:
        return Run(started_at, None)
    lasts = _some(chance, 40 * MINUTE)
    if chance.random() < habits.long:
        lasts = _some(chance, 60 * HOUR)
    status = "SUCCESS"
    if chance.random() < habits.failed:
        status = chance.choice(["FAILED", "PARTIAL_SUCCESS", "CANCELLED"])
    return Run(started_at, started_at + MINUTE + lasts, status)


def _send_run(chance: random.Random, server: Server, run: Run, restore_point: str) -> None:
    ahead = timedelta()
    if chance.random() < server.habits.ahead:
        ahead = chance.choice([6 * MINUTE + _some(chance, HOUR), _some(chance, 30 * HOUR), 3650 * DAY])
    started_at = run.started_at + ahead
    # A start with a wrong date is known again by its restore point only.
    facts: list[Start | End] = [Start(started_at, restore_point if ahead else chance.choice([None, restore_point]))]
    if run.ended_at:
        facts.append(End(started_at, run.ended_at + ahead, run.status, restore_point))
    server.facts[run] = facts
    for fact, happened_at in zip(facts, (run.started_at, run.ended_at), strict=False):
        if ahead:
            server.notes[fact] = f"dated ahead by {ahead}"
        _send(chance, server, fact, happened_at or run.started_at, server.habits.lost)


def _send(chance: random.Random, server: Server, fact: Fact, happened_at: datetime, lost: float) -> None:
    """Put the copies of the fact's message on the queue."""
    habits = server.habits
    sent_at = happened_at + _some(chance, 5 * _SECOND)
    if chance.random() < lost:
        server.notes[fact] = "lost"
        return
    if chance.random() < habits.delayed:
        # The server was offline, or the message was redriven from the dead-letter queue: a new SentTimestamp.
        sent_at += chance.choice([_some(chance, 2 * HOUR), _some(chance, 30 * HOUR), _some(chance, 5 * DAY)])
        server.notes[fact] = f"sent late, {sent_at - happened_at} after it happened"
    arrives_at = sent_at + _some(chance, 20 * _SECOND)
    if chance.random() < habits.killed:
        kills = chance.choice([1, 2, 3, 4])
        arrives_at += kills * VISIBILITY
        if kills > KILLS_WITHIN_GRACE:
            server.notes[fact] = f"its consumer was killed {kills} times"
    server.copies.append(Copy(server.policy_id, fact, sent_at, arrives_at))
    while chance.random() < habits.doubled:
        if chance.random() < 0.5:
            # By the queue: the same message is received once more.
            arrives_at += _some(chance, 10 * MINUTE)
        else:
            # By the sender or an operator: another message.
            sent_at = arrives_at + _some(chance, chance.choice([HOUR, 4 * DAY]))
            arrives_at = sent_at + _some(chance, 20 * _SECOND)
        server.copies.append(Copy(server.policy_id, fact, sent_at, arrives_at))


def _some(chance: random.Random, most: timedelta) -> timedelta:
    """Return some milliseconds up to `most`."""
    return timedelta(milliseconds=chance.randint(0, most // timedelta(milliseconds=1)))
