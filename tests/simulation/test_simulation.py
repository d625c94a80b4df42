"""The proof of the monitoring rules: virtual weeks of servers, judged by an oracle of their own.

`SEEDS=n` runs the seeds 0 to n-1, `SEEDS=m:n` those from m on, `SEED=x` only one. A failing seed prints the story of
each wrong report.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.simulation.oracle import HOUR, MINUTE, Change, End, Fact, Kind, Start, verdict
from tests.simulation.schedules import DAY, WallClock, daily, monday_to_friday, monthly, weekly
from tests.simulation.servers import BEGINS, LASTS, servers
from tests.simulation.service import Copy, Outage, Service
from tests.simulation.story import story
from tests.simulation.truth import Truth, truth_of

SERVERS = 8
LONGEST_NOTIFIER_OUTAGE, LONGEST_DETECTOR_OUTAGE = 14 * HOUR, 26 * HOUR
# All reports of the last backups come within it.
SETTLES = 3 * DAY


def seeds() -> Sequence[int]:
    """Return those that the environment asks for; by default, the first two."""
    if seed := os.environ.get("SEED"):
        return [int(seed)]
    first, _, end = os.environ.get("SEEDS", "2").rpartition(":")
    return range(int(first or 0), int(end))


@pytest.mark.parametrize("seed", seeds())
def test_each_report_is_owed_and_each_owed_report_is_made(seed: int) -> None:
    print(f"again: SEED={seed} .venv/bin/python -m pytest tests/simulation")
    chance = random.Random(seed)
    begin = chance.choice(BEGINS)
    simulated = servers(chance, begin, SERVERS)
    service = Service(
        [copy for server in simulated for copy in server.copies],
        chance,
        notifier_off=list(_outages(chance, begin, LONGEST_NOTIFIER_OUTAGE)),
        detector_off=list(_outages(chance, begin, LONGEST_DETECTOR_OUTAGE)),
    )

    service.run(begin, begin + LASTS + SETTLES)

    made: Counter[tuple[Kind, Truth]] = Counter()
    stories = []
    for server in simulated:
        received, reports = service.received[server.policy_id], service.reports[server.policy_id]
        found = verdict(received, service.ticks, reports)
        truths = [(truth_of(server, report, service.ticks[place]), place, report) for place, report in reports]
        made.update((report.kind, truth) for truth, _, report in truths)
        found.false += [(service.ticks[place], report) for truth, place, report in truths if truth is Truth.FALSE]
        if found.false or found.lost:
            stories.append(f"{server.policy_id}\n{story(server, received, service.ticks, reports, found)}")
    print(", ".join(f"{number} {kind} {truth.name}" for (kind, truth), number in sorted(made.items(), key=str)))
    print("\n\n".join(stories))
    assert not stories
    assert not service.overtaken, "the watermark did not wait for these messages"


def _outages(chance: random.Random, begin: datetime, longest: timedelta) -> Iterator[Outage]:
    for _ in range(chance.randrange(3)):
        begins = begin + chance.randrange(LASTS // MINUTE) * MINUTE
        lasts = chance.choice([longest, chance.randrange(1, longest // MINUTE) * MINUTE])
        yield Outage(begins, begins + lasts)


def _made(policy_id: str, fact: Fact, at: datetime) -> Copy:
    """Return the only copy of a message, which is sent and received at once."""
    return Copy(policy_id, fact, at, at + timedelta(seconds=1))


def test_each_of_25_nights_without_an_end_is_unfinished_and_the_success_is_stale_once() -> None:
    """A power cut in each night. The server starts its backup in time, so it misses none."""
    begin = datetime(2018, 12, 1, tzinfo=UTC)
    nightly = daily(2, 0)
    nights = [begin + night * DAY + 2 * HOUR for night in range(1, 26)]
    start, end = begin + 2 * HOUR, begin + 3 * HOUR
    copies = [
        _made("nightly", Change(begin, nightly), begin),
        _made("nightly", Start(start), start),
        _made("nightly", End(start, end, "SUCCESS", "last success"), end),
        *(_made("nightly", Start(night), night) for night in nights),
    ]
    service = Service(copies, random.Random(0), idle=MINUTE)

    service.run(begin, nights[-1] + 3 * DAY)

    reports = [(report, service.ticks[place].at) for place, report in service.reports["nightly"]]
    unfinished = {report.date: at for report, at in reports if report.kind is Kind.UNFINISHED}
    assert list(unfinished) == nights
    assert all(timedelta() < at - (night + 24 * HOUR) <= 10 * MINUTE for night, at in unfinished.items())
    stale = [report.date for report, _ in reports if report.kind is Kind.STALE]
    assert stale == [end]
    missing = [report.date for report, _ in reports if report.kind is Kind.MISSING]
    # After the last night it starts no more.
    assert missing == [nights[-1] + DAY, nights[-1] + 2 * DAY]


YEAR_BEGINS = datetime(2018, 1, 1, tzinfo=UTC)
SCHEDULES = [
    schedule
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
    for schedule in (
        weekly(6, 1, 30, zone),
        monthly(1, 0, 15, zone),
        monthly(31, 2, 30, zone),
        monday_to_friday(2, 30, zone),
    )
]


def test_a_year_of_perfect_servers_has_no_false_alarm() -> None:
    chance = random.Random(1)
    copies = [copy for schedule in SCHEDULES for copy in _perfect(chance, schedule)]
    service = Service(copies, chance, idle=9 * MINUTE)

    service.run(YEAR_BEGINS, YEAR_BEGINS + 365 * DAY)

    assert not service.reports
    assert len(service.received) == len(SCHEDULES)


def _perfect(chance: random.Random, schedule: WallClock) -> Iterator[Copy]:
    """Yield the messages of a server whose backups start in time and succeed within hours."""
    yield _made(str(schedule), Change(YEAR_BEGINS, schedule), YEAR_BEGINS)
    for scheduled in schedule.between(YEAR_BEGINS, YEAR_BEGINS + 365 * DAY):
        start = scheduled + chance.randint(-4, 50) * MINUTE
        end = start + chance.randint(1, 300) * MINUTE
        restore_point = f"{scheduled:%m-%d}"
        yield _made(str(schedule), Start(start, restore_point), start)
        yield _made(str(schedule), End(start, end, "SUCCESS", restore_point), end)
