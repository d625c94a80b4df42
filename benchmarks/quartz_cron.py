"""Quartz's cron expressions, over the table of its own answers: parsing, refusing hostile texts, and the next time.

Each call is timed thrice, and the best counts, so that the machine's other work does not.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

from benchmarks.figures import Figure

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = [
    line.split("\t")
    for line in (Path(__file__).parent.parent / "tests" / "unit" / "data" / "quartz-fire-times.tsv").open()
]
HOSTILE = [
    "",
    "x" * 10_000,
    "9" * 200,
    "*" * 200,
    "?" * 200,
    ",".join("0" * 94) + " * * * * ?",
    ",".join(["*"] * 94) + " * * * * ?",
    "0 0 0 " + ",".join(["1-31/1"] * 26) + " * ?",
    "0 0 0 " + ",".join(["9W"] * 60) + " * ?",
    "0 0 0 1 1 ? " + ",".join(["*/1"] * 45),
    "0 0 0 1 1 ? 2000-2001/" + "9" * 150,
    "0 0 0 ? * " + "2#1," * 40,
    " ".join("*" * 100),
    "-" * 200,
    "/" * 200,
    "\u0663" * 200,
]
RARE = [
    ("0 0 0 30 2 ?", "UTC"),
    ("0 0 0 31 2,4,6,9,11 ?", "UTC"),
    ("0 0 0 29 2 ? 2023", "UTC"),
    ("0 0 0 ? 2 1#5", "UTC"),
    ("0 30 2 ? 3 1L", "Europe/Berlin"),
    ("0 15 2 ? 10 1#1", "Australia/Lord_Howe"),
]


def microseconds(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        started = perf_counter()
        call()
        best = min(best, perf_counter() - started)
    return best * 1e6


def parse(text: str) -> None:
    try:
        QuartzCron(text)
    except InvalidSchedule:
        return


def figure(name: str, calls: Iterable[Callable[[], object]]) -> Figure:
    taken = sorted(map(microseconds, calls))
    note = f"of {len(taken)}; p99 {taken[len(taken) * 99 // 100]:.1f}, at most {taken[-1]:.1f}"
    return Figure(name, statistics.median(taken), "µs", note=note)


def measure(quick: bool) -> Iterable[Figure]:
    """Microseconds a call, at the median; `quick`: of every tenth row of the table."""
    rows = ROWS[::10] if quick else ROWS
    yield figure("quartz-parse", [partial(parse, row[0]) for row in rows])
    yield figure("quartz-hostile", [partial(parse, text) for text in HOSTILE])
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe"):
        crons = [(QuartzCron(row[0], ZoneInfo(zone)), datetime.fromisoformat(row[1])) for row in rows]
        yield figure(f"quartz-next {zone}", [partial(cron.next_after, at) for cron, at in crons])
    for expression, zone in RARE:
        cron = QuartzCron(expression, ZoneInfo(zone))
        yield figure(f"quartz-next {expression}", [partial(cron.next_after, START)])
