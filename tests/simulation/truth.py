"""Whether a report is true: by what the server really did, whatever of it was received."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum

from tests.simulation.oracle import HOUR, LEAST_LIMIT, MINUTE, SKEW, TOLERANCE, Change, Fact, Kind, Report, Tick
from tests.simulation.schedules import Interval, WallClock
from tests.simulation.servers import Run, Server

# A message is sent at most so long after what it reports.
_SENT_WITHIN = timedelta(seconds=5)


class Truth(Enum):
    """`UNKNOWABLE`: false, but no observer could know: the messages against it were lost, late, or dated ahead."""

    TRUE = 1
    UNKNOWABLE = 2
    FALSE = 3


def truth_of(server: Server, report: Report, tick: Tick) -> Truth:
    """Return whether the server's report, made at the tick, is true."""
    against = list(_against(server, report, tick.as_of))
    changes_were_late = any(change in server.notes for change in server.changes)
    if not against and (report.kind is not Kind.MISSING or _is_scheduled(server, report.date)):
        return Truth.TRUE
    if changes_were_late or (against and all(fact in server.notes for fact in against)):
        return Truth.UNKNOWABLE
    return Truth.FALSE


def _against(server: Server, report: Report, as_of: datetime) -> Iterator[Fact]:
    """Yield the facts that speak against the report, and that had happened in time for a message before `as_of`."""
    for run, facts in server.facts.items():
        start, *end = facts
        has_ended = bool(run.ended_at and run.ended_at + _SENT_WITHIN < as_of)
        match report.kind:
            case Kind.MISSING if _answers(server, run, report.date):
                yield from facts if has_ended else [start]
            case Kind.UNFINISHED if start.started_at == report.date and has_ended and not _is_long(server, run):
                yield from end
            case Kind.STALE if run.status == "SUCCESS" and has_ended and run.ended_at and run.ended_at > report.date:
                yield from end


def _answers(server: Server, run: Run, expected: datetime) -> bool:
    """Return whether the run answers the scheduled time. An interval begins anew with each run."""
    schedule = _change_before(server, expected).schedule
    before = schedule.length - MINUTE if isinstance(schedule, Interval) else SKEW
    return expected - before <= run.started_at <= expected + TOLERANCE


def _is_scheduled(server: Server, expected: datetime) -> bool:
    change = _change_before(server, expected)
    if isinstance(change.schedule, WallClock):
        return change.active and expected in change.schedule.between(expected - HOUR, expected)
    return change.active


def _change_before(server: Server, timestamp: datetime) -> Change:
    return [change for change in server.changes if change.changed_at < timestamp][-1]


def _is_long(server: Server, run: Run) -> bool:
    """Return whether the run took longer than its policy's shortest limit."""
    limit = min([LEAST_LIMIT, *(change.longest_run for change in server.changes if change.longest_run)])
    return run.ended_at is not None and run.ended_at - run.started_at > limit
