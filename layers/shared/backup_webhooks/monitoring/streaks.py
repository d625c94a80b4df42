"""Streaks: how long backups of a server policy have gone wrong in one way, and which success ended it.

Pure. Moments are those of the events: a backup's end, a missed start's deadline. What comes late is put where it
belongs as far as that is still known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.events.messages import EventType

# What `Backup.Recovered` is the end of.
FAILING = (EventType.FAILURE, EventType.MISSING)


class Repetition(Struct, frozen=True):
    """That a notice tells nothing new: `since` when it is so; None of successes where nothing was wrong before."""

    since: datetime | None = None


class Streak(Struct, frozen=True):
    """Events of one kind with no success after the first of them.

    `since`, `latest`: of the first and the newest.
    """

    since: datetime
    latest: datetime
    count: int = 1

    def with_one(self, at: datetime) -> Self:
        """The streak with one more event, which was not counted before."""
        return replace(self, since=min(self.since, at), latest=max(self.latest, at), count=self.count + 1)


class Recovery(Struct, frozen=True):
    """The success that ended failures and misses: when it was, since when they had gone on, and how many they were."""

    at: datetime
    of_event: Mapping[EventType, Streak]


class Streaks(Struct, frozen=True):
    """The streaks that go on, by event; the last success; and the last that was news.

    `late`: what was told only after a success that came after it. It makes no later event a repetition, and the next
    success ends it, for those whom it has alarmed. `changed_at`: the success that last ended anything, and `recovery`
    the one that last ended failures or misses.
    """

    of_event: Mapping[EventType, Streak] = field(default_factory=dict)
    late: Mapping[EventType, Streak] = field(default_factory=dict)
    last_success_at: datetime | None = None
    changed_at: datetime | None = None
    recovery: Recovery | None = None

    def with_trouble(self, event_type: EventType, at: datetime) -> Self:
        """What is known after a backup that failed, succeeded in part or was missed."""
        if self.last_success_at and at <= self.last_success_at:
            return replace(self, late=_with_one(self.late, event_type, at))
        return replace(self, of_event=_with_one(self.of_event, event_type, at))

    def with_success(self, at: datetime) -> Self:
        """What is known after a success."""
        if self.last_success_at and at <= self.last_success_at:
            return self
        # Of those that went on after it, which only a success that comes late can meet, no more is known than the end.
        going_on = {
            event_type: streak if streak.since > at else Streak(streak.latest, streak.latest)
            for event_type, streak in self.of_event.items()
            if streak.latest > at
        }
        after = replace(self, of_event=going_on, late={}, last_success_at=at)
        ended = _together(self.of_event, self.late)
        if going_on or not ended:
            return after
        failing = {event_type: streak for event_type, streak in ended.items() if event_type in FAILING}
        return replace(after, changed_at=at, recovery=Recovery(at, failing) if failing else self.recovery)

    def without(self, event_type: EventType) -> Self:
        """The streaks but that event's."""
        return replace(
            self, of_event={other: streak for other, streak in self.of_event.items() if other is not event_type}
        )


def _with_one(streaks: Mapping[EventType, Streak], event_type: EventType, at: datetime) -> dict[EventType, Streak]:
    known = streaks.get(event_type)
    return {**streaks, event_type: known.with_one(at) if known else Streak(at, at)}


def _together(one: Mapping[EventType, Streak], other: Mapping[EventType, Streak]) -> Mapping[EventType, Streak]:
    both = dict(one)
    for event_type, streak in other.items():
        known = both.get(event_type)
        both[event_type] = (
            replace(known, since=min(known.since, streak.since), count=known.count + streak.count) if known else streak
        )
    return both
