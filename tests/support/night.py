"""A night of many servers: what each of them does, and the posts that a person would expect.

The expectation comes from this table of kinds of servers, and not from the code under test.
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
# Scheduled starts are spread over the beginning of a night. A late one that is missed, started after all and reported
# needs the rest.
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
    """How the service learns of a server's backups."""

    MESSAGES = "messages"
    PINGS = "pings"
    AWS_BACKUP = "AWS Backup"
    RESTIC = "restic"
    BORG = "borg"


@dataclass(frozen=True)
class Kind:
    """A kind of servers: how their backups go, and the events that are expected.

    `starts`: the range in minutes after the scheduled start; None: never. `ends`: the status; None: the backup is still
    running, or never started. `before`: the result of the night before, if the server was there. `events`: tonight's
    events; `news`: those for a target with changes only. `share`: the kind's number in proportion to the others.
    """

    name: str
    share: int
    starts: tuple[int, int] | None
    ends: str | None
    events: frozenset[str]
    news: frozenset[str]
    before: str | None = None
    active: bool = True


def _kind(
    name: str,
    share: int,
    *,
    starts: tuple[int, int] | None,
    ends: str | None,
    events: str = "",
    news: str = "",
    before: str | None = None,
    active: bool = True,
) -> Kind:
    all_events, news_events = (frozenset(f"Backup.{event}" for event in text.split()) for text in (events, news))
    return Kind(name, share, starts, ends, all_events, news_events, before, active)


# A server's clock may be ahead by some minutes. The hour is exact to the millisecond, and a ping takes some of them:
# only a message can be at the limit.
IN_TIME, LATE, LATE_BY_THE_HOUR, TOO_LATE = (-4, 5), (10, 59), (60, 60), (65, 75)
SUCCEEDS = _kind("succeeds", 40, starts=IN_TIME, ends=SUCCESS, events="Success", news="Success")
SUCCEEDS_PARTLY = _kind(
    "succeeds partly", 6, starts=IN_TIME, ends=PARTIAL, events="PartialSuccess", news="PartialSuccess"
)
FAILS = _kind("fails", 6, starts=IN_TIME, ends=FAILED, events="Failure", news="Failure")
NEWCOMERS = (
    SUCCEEDS,
    SUCCEEDS_PARTLY,
    FAILS,
    _kind("is late, within the hour", 8, starts=LATE, ends=SUCCESS, events="Success", news="Success"),
    _kind("is late and fails", 2, starts=LATE, ends=FAILED, events="Failure", news="Failure"),
    _kind("never starts", 6, starts=None, ends=None, events="Missing", news="Missing"),
    _kind("is still running", 5, starts=IN_TIME, ends=None),
    _kind("is late and still running", 2, starts=LATE, ends=None),
    _kind(
        "starts too late",
        2,
        starts=TOO_LATE,
        ends=SUCCESS,
        events="Missing Success Recovered",
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
        events="Success Recovered",
        news="Success Recovered",
    ),
    _kind("failed, fails again", 4, before=FAILED, starts=IN_TIME, ends=FAILED, events="Failure"),
    _kind("failed, never starts", 2, before=FAILED, starts=None, ends=None, events="Missing", news="Missing"),
)
KINDS = (
    *NEWCOMERS,
    *FAILED_BEFORE,
    _kind("is late by the very hour", 2, starts=LATE_BY_THE_HOUR, ends=SUCCESS, events="Success", news="Success"),
    _kind("is cancelled", 2, starts=IN_TIME, ends=CANCELLED),
    _kind("is switched off", 2, starts=None, ends=None, active=False),
    _kind(
        "was missed, succeeds",
        4,
        before=MISSED,
        starts=IN_TIME,
        ends=SUCCESS,
        events="Success Recovered",
        news="Success Recovered",
    ),
    _kind("was missed, never starts again", 3, before=MISSED, starts=None, ends=None, events="Missing"),
    _kind("was missed, fails", 2, before=MISSED, starts=IN_TIME, ends=FAILED, events="Failure", news="Failure"),
    _kind("succeeded, succeeds again", 4, before=SUCCESS, starts=IN_TIME, ends=SUCCESS, events="Success"),
)
# The kinds that each source can report. A ping key counts from when it is made. AWS Backup knows no miss before its
# plan was read, but knows the jobs.
KINDS_OF = {
    Source.MESSAGES: KINDS,
    Source.PINGS: NEWCOMERS,
    Source.AWS_BACKUP: (*NEWCOMERS, *FAILED_BEFORE),
    Source.RESTIC: (SUCCEEDS, SUCCEEDS_PARTLY, FAILS),
    Source.BORG: (SUCCEEDS, SUCCEEDS_PARTLY, FAILS),
}


@dataclass(frozen=True)
class Backup:
    """One server's backup of one night, as far as it gets that night. `restore_point`: the backup's own."""

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
class ReadPost:
    """One post, as a person reads it. `says`: the backup's status, the scheduled start missed, or what is over."""

    target: str
    event: str
    server_id: str
    says: str


def planned_at(dusk: datetime) -> datetime:
    """Return the scheduled start of all of AWS Backup's servers, which are in one plan with one rule."""
    return dusk + SCHEDULED_FOR / 2


def servers(numbers: dict[Source, int], dusk: datetime, chance: random.Random) -> list[Server]:
    """Return this many servers of each source, with at least one of each kind if the number allows it."""
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
    # The miss of a backup that starts too late is reported before it ends.
    lasts = timedelta(minutes=chance.randint(30, 40) if starts == TOO_LATE else chance.randint(2, 45))
    return Backup(scheduled_at, backup.restore_point, started_at, started_at + lasts, ends)


def expected_before(night: Sequence[Server]) -> Counter[ReadPost]:
    """Return the posts of the night before. Each event is the first of its kind, and so is news."""
    return Counter(
        ReadPost(target, EVENT_OF[server.kind.before], server.server_id, _says(server.kind.before, server.before))
        for server in night
        if server.kind.before and server.before
        for target in ("all", "changes")
    )


def expected(night: Sequence[Server]) -> Counter[ReadPost]:
    """Return the posts of tonight."""
    return Counter(post for server in night for post in _expected_of(server))


def suppressed(night: Sequence[Server]) -> Counter[tuple[str, str]]:
    """Return what is suppressed at the target with changes only: event and server."""
    return Counter((event, server.server_id) for server in night for event in server.kind.events - server.kind.news)


def _expected_of(server: Server) -> Iterator[ReadPost]:
    for target, events in (("all", server.kind.events), ("changes", server.kind.news)):
        for event in events:
            if event == RECOVERED:
                says = "1 failed" if server.kind.before == FAILED else "1 missed"
            else:
                (result,) = (result for result, its_event in EVENT_OF.items() if its_event == event)
                says = _says(result, server.tonight)
            yield ReadPost(target, event, server.server_id, says)


def _says(result: str, backup: Backup) -> str:
    return f"{backup.scheduled_at:%Y-%m-%dT%H:%M:%S.000Z}" if result == MISSED else result
