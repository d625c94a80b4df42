"""Times quartz.py over the table: parsing, refusing hostile texts, and next_after. Prints microseconds.

Each figure is the best of three runs, so that the machine's other work does not count.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from backup_webhooks.quartz import InvalidSchedule, QuartzCron

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


def report(name: str, figures: list[float]) -> None:
    figures.sort()
    median, p99 = figures[len(figures) // 2], figures[len(figures) * 99 // 100]
    print(f"{name:32} n={len(figures):5}  median {median:8.1f}  p99 {p99:8.1f}  max {figures[-1]:8.1f}")


def main() -> None:
    report("parse, table", [microseconds(partial(parse, row[0])) for row in ROWS])
    report("parse or refuse, hostile", [microseconds(partial(parse, text)) for text in HOSTILE])
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe"):
        calls = [(QuartzCron(row[0], ZoneInfo(zone)), datetime.fromisoformat(row[1])) for row in ROWS]
        figures = [microseconds(partial(cron.next_after, at)) for cron, at in calls]
        report(f"next_after, table, {zone}", figures)
    for expression, zone in RARE:
        cron = QuartzCron(expression, ZoneInfo(zone))
        report(f"next_after, {expression}", [microseconds(partial(cron.next_after, START))])


if __name__ == "__main__":
    main()
