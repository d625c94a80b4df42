"""A night of many servers: what each of them does, and what a person would expect to be told of it.

The expectation is this table's own, by kinds of servers; nothing of it is asked of the code under test.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tests.support.aws_backup import AWS_ACCOUNT, REGION

DAY = timedelta(days=1)
STEP = timedelta(minutes=10)
# Scheduled starts are spread over the beginning of a night. The last of them that is missed, made up for and told needs
# the rest.
SCHEDULED_FOR = timedelta(minutes=90)
NIGHT_LASTS = timedelta(hours=4)

SUCCESS, PARTIAL, FAILED, CANCELLED, MISSED = "SUCCESS", "PARTIAL_SUCCESS", "FAILED", "CANCELLED", "MISSED"
EVENT_OF = {
    SUCCESS: "Backup.Success",
    PARTIAL: "Backup.PartialSuccess",
    FAILED: "Backup.Failure",
    MISSED: "Backup.Missing",
}
RECOVERED = "Backup.Recovered"


class Source(StrEnum):
    """How one hears of a server's backups."""

    MESSAGES = "messages"
    PINGS = "pings"
    AWS_BACKUP = "AWS Backup"
    RESTIC = "restic"
    BORG = "borg"


@dataclass(frozen=True)
class Kind:
    """What servers of a kind do, and what is expected of it.

    `starts`: from how many minutes after the scheduled start to how many; None: never. `ends`: with what; None: it is
    still running, or never started. `before`: how the night before went, where the server was there then. `told`:
    tonight's events; `news`: those of them that are told to who wants changes only. `share`: how many there are, in
    proportion to the others.
    """

    name: str
    share: int
    starts: tuple[int, int] | None
    ends: str | None
    told: frozenset[str]
    news: frozenset[str]
    before: str | None = None
    active: bool = True


def _kind(
    name: str,
    share: int,
    *,
    starts: tuple[int, int] | None,
    ends: str | None,
    told: str = "",
    news: str = "",
    before: str | None = None,
    active: bool = True,
) -> Kind:
    told_events, news_events = (frozenset(f"Backup.{event}" for event in text.split()) for text in (told, news))
    return Kind(name, share, starts, ends, told_events, news_events, before, active)


# A server's clock may be ahead by some minutes. The hour is one to the millisecond, and a ping takes some of these on
# its way: only a message can name the last moment.
IN_TIME, LATE, LATE_BY_THE_HOUR, TOO_LATE = (-4, 5), (10, 59), (60, 60), (65, 75)
SUCCEEDS = _kind("succeeds", 40, starts=IN_TIME, ends=SUCCESS, told="Success")
SUCCEEDS_PARTLY = _kind(
    "succeeds partly", 6, starts=IN_TIME, ends=PARTIAL, told="PartialSuccess", news="PartialSuccess"
)
FAILS = _kind("fails", 6, starts=IN_TIME, ends=FAILED, told="Failure", news="Failure")
NEWCOMERS = (
    SUCCEEDS,
    SUCCEEDS_PARTLY,
    FAILS,
    _kind("is late, within the hour", 8, starts=LATE, ends=SUCCESS, told="Success"),
    _kind("is late and fails", 2, starts=LATE, ends=FAILED, told="Failure", news="Failure"),
    _kind("never starts", 6, starts=None, ends=None, told="Missing", news="Missing"),
    _kind("is still running", 5, starts=IN_TIME, ends=None),
    _kind("is late and still running", 2, starts=LATE, ends=None),
    _kind(
        "starts too late",
        2,
        starts=TOO_LATE,
        ends=SUCCESS,
        told="Missing Success Recovered",
        news="Missing Success Recovered",
    ),
)
FAILED_BEFORE = (
    _kind(
        "failed, succeeds",
        4,
        before=FAILED,
        starts=IN_TIME,
        ends=SUCCESS,
        told="Success Recovered",
        news="Success Recovered",
    ),
    _kind("failed, fails again", 4, before=FAILED, starts=IN_TIME, ends=FAILED, told="Failure"),
    _kind("failed, never starts", 2, before=FAILED, starts=None, ends=None, told="Missing", news="Missing"),
)
KINDS = (
    *NEWCOMERS,
    *FAILED_BEFORE,
    _kind("is late by the very hour", 2, starts=LATE_BY_THE_HOUR, ends=SUCCESS, told="Success"),
    _kind("is cancelled", 2, starts=IN_TIME, ends=CANCELLED),
    _kind("is switched off", 2, starts=None, ends=None, active=False),
    _kind(
        "was missed, succeeds",
        4,
        before=MISSED,
        starts=IN_TIME,
        ends=SUCCESS,
        told="Success Recovered",
        news="Success Recovered",
    ),
    _kind("was missed, never starts again", 3, before=MISSED, starts=None, ends=None, told="Missing"),
    _kind("was missed, fails", 2, before=MISSED, starts=IN_TIME, ends=FAILED, told="Failure", news="Failure"),
    _kind("succeeded, succeeds again", 4, before=SUCCESS, starts=IN_TIME, ends=SUCCESS, told="Success"),
)
# What each source can say. A ping key has no past: it counts from when it is made. AWS Backup knows of none before its
# plan was read, but for the jobs themselves.
KINDS_OF = {
    Source.MESSAGES: KINDS,
    Source.PINGS: NEWCOMERS,
    Source.AWS_BACKUP: (*NEWCOMERS, *FAILED_BEFORE),
    Source.RESTIC: (SUCCEEDS, SUCCEEDS_PARTLY, FAILS),
    Source.BORG: (SUCCEEDS, SUCCEEDS_PARTLY, FAILS),
}


@dataclass(frozen=True)
class Backup:
    """One server's of one night, up to where it comes that night. `restore_point`: of the backup's own."""

    scheduled_at: datetime
    restore_point: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    status: str | None = None


@dataclass(frozen=True)
class Server:
    """One server of a kind, with its backups tonight and the night before."""

    server_id: str
    source: Source
    kind: Kind
    tonight: Backup
    before: Backup | None


@dataclass(frozen=True, order=True)
class Told:
    """One post, as a person reads it. `says`: the backup's status, the scheduled start missed, or what is over."""

    target: str
    event: str
    server_id: str
    says: str


def planned_at(dusk: datetime) -> datetime:
    """When all of AWS Backup's servers are scheduled: they are those of one plan with one rule."""
    return dusk + SCHEDULED_FOR / 2


def servers(numbers: dict[Source, int], dusk: datetime, chance: random.Random) -> list[Server]:
    """So many servers of each source, at least one of each kind where there are as many."""
    made = []
    for source, number in numbers.items():
        kinds = KINDS_OF[source]
        shares = [kind.share for kind in kinds]
        chosen = [*kinds, *chance.choices(kinds, shares, k=max(number - len(kinds), 0))][:number]
        made += [
            _server(f"{source}-{place:03}".replace(" ", "-"), source, kind, dusk, chance)
            for place, kind in enumerate(chosen)
        ]
    return made


def _server(name: str, source: Source, kind: Kind, dusk: datetime, chance: random.Random) -> Server:
    scheduled_at = dusk + chance.randrange(SCHEDULED_FOR // STEP) * STEP
    if source is Source.AWS_BACKUP:
        name, scheduled_at = f"arn:aws:ec2:{REGION}:{AWS_ACCOUNT}:volume/{name}", planned_at(dusk)
    before = None
    if kind.before:
        starts = None if kind.before == MISSED else IN_TIME
        before = _backup(scheduled_at - DAY, starts, kind.before, chance)
    return Server(name, source, kind, _backup(scheduled_at, kind.starts, kind.ends, chance), before)


def _backup(scheduled_at: datetime, starts: tuple[int, int] | None, ends: str | None, chance: random.Random) -> Backup:
    backup = Backup(scheduled_at, str(uuid.UUID(int=chance.getrandbits(128))))
    if starts is None:
        return backup
    started_at = scheduled_at + timedelta(minutes=chance.randint(*starts))
    if ends is None:
        return Backup(scheduled_at, backup.restore_point, started_at)
    # Of what starts too late the miss is told before it ends.
    lasts = timedelta(minutes=chance.randint(30, 40) if starts == TOO_LATE else chance.randint(2, 45))
    return Backup(scheduled_at, backup.restore_point, started_at, started_at + lasts, ends)


def expected_before(night: Sequence[Server]) -> Counter[Told]:
    """What is told of the night before. All of it is the first of its kind; a success after nothing is no news."""
    return Counter(
        Told(target, EVENT_OF[server.kind.before], server.server_id, _says(server.kind.before, server.before))
        for server in night
        if server.kind.before and server.before
        for target in (("all",) if server.kind.before == SUCCESS else ("all", "changes"))
    )


def expected(night: Sequence[Server]) -> Counter[Told]:
    """What is told of tonight."""
    return Counter(told for server in night for told in _expected_of(server))


def suppressed(night: Sequence[Server]) -> Counter[tuple[str, str]]:
    """What is held back at the target for changes, of both nights: event and server."""
    tonight = [(event, server.server_id) for server in night for event in server.kind.told - server.kind.news]
    before = [(EVENT_OF[SUCCESS], server.server_id) for server in night if server.kind.before == SUCCESS]
    return Counter(tonight + before)


def _expected_of(server: Server) -> Iterator[Told]:
    for target, events in (("all", server.kind.told), ("changes", server.kind.news)):
        for event in events:
            if event == RECOVERED:
                says = "1 failed" if server.kind.before == FAILED else "1 missed"
            else:
                (result,) = (result for result, its_event in EVENT_OF.items() if its_event == event)
                says = _says(result, server.tonight)
            yield Told(target, event, server.server_id, says)


def _says(result: str, backup: Backup) -> str:
    return f"{backup.scheduled_at:%Y-%m-%dT%H:%M:%S.000Z}" if result == MISSED else result
