"""A failing seed as text: what a server did, which of its messages came when, what was reported, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.simulation.oracle import Change, End, Fact, Received, Report, Start, Tick, Verdict
from tests.simulation.schedules import DAY
from tests.simulation.servers import Server

# So much of the story before and after the first wrong report.
_BEFORE, _AFTER = 5 * DAY, 2 * DAY


def story(
    server: Server,
    received: list[Received],
    ticks: list[Tick],
    reports: list[tuple[int, Report]],
    verdict: Verdict,
) -> str:
    """Return the days around the first wrong report of a server policy, one line for each thing that happened."""
    wrong = [report for _, report in verdict.false] + [*verdict.lost]
    first = min(tick.at for tick in [*(tick for tick, _ in verdict.false), *verdict.lost.values()])
    begin = min(first, *(report.date for report in wrong)) - _BEFORE
    lines = [
        *_truth(server),
        *((message.at, f"  recorded, sent at {_at(message.sent_at)}: {_fact(message.fact)}") for message in received),
        *(
            (ticks[place].at, f"    REPORTED {_report(report)}, as of {_at(ticks[place].as_of)}")
            for place, report in reports
        ),
        *((tick.at, f"      FALSE: {_report(report)}") for tick, report in verdict.false),
        *((tick.at, f"      OWED and not reported: {_report(report)}") for report, tick in verdict.lost.items()),
    ]
    near = sorted(line for line in lines if begin <= line[0] <= first + _AFTER)
    changes = [(at, text) for at, text in lines if at < begin and "policy" in text]
    return "\n".join(f"{_at(at)} {text}" for at, text in [*sorted(changes), *near])


def _truth(server: Server) -> Iterator[tuple[datetime, str]]:
    notes = {fact: f" [{note}]" for fact, note in server.notes.items()}
    for change in server.changes:
        yield change.changed_at, f"policy: {_fact(change)}{notes.get(change, '')}"
    for run in server.facts:
        end = f"ends at {_at(run.ended_at)} with {run.status}" if run.ended_at else "hangs for ever"
        yield run.started_at, f"run starts, and {end}"
    for fact, note in notes.items():
        yield _date(fact), f"  message {note}: {_fact(fact)}"


def _date(fact: Fact) -> datetime:
    match fact:
        case Start():
            return fact.started_at
        case End():
            return fact.finished_at
        case Change():
            return fact.changed_at


def _fact(fact: Fact) -> str:
    match fact:
        case Start(started_at, restore_point):
            return f"start {_at(started_at)} ({restore_point})"
        case End(started_at, finished_at, status, _):
            return f"end {_at(finished_at)} of the run of {_at(started_at)}, {status}"
        case Change(changed_at, schedule, active, longest_run, good_age):
            limits = f", longest run {longest_run}" * bool(longest_run) + f", good age {good_age}" * bool(good_age)
            return f"policy since {_at(changed_at)} {'ACTIVE' if active else 'INACTIVE'}, {schedule}{limits}"


def _report(report: Report) -> str:
    return f"{report.kind} {_at(report.date)}"


def _at(timestamp: datetime) -> str:
    return f"{timestamp:%Y-%m-%d %H:%M:%S}.{timestamp.microsecond // 1000:03}"
