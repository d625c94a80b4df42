"""Streaks: how long backups of a server policy have gone wrong in one way, and which success ended it.

Pure. Timestamps are those of the events: a backup's end, a missed start's deadline. A late event is put in its place as
far as that is still known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.events.messages import TROUBLE, EventType
from backup_webhooks.events.timestamps import iso_milliseconds


class Place(Struct, frozen=True):
    """The place of an event among those of its type: its timestamp, and since when none of another kind ended them.

    `since`: the first of the streak; of successes, the last recovery's timestamp, or `EVER` before any trouble.
    """

    at: datetime
    since: datetime


EVER = datetime.min.replace(tzinfo=UTC)


class Streak(Struct, frozen=True):
    """Events of one type with no success after the first. `since`, `latest`: the first's and the newest's timestamp."""

    since: datetime
    latest: datetime
    count: int = 1

    def with_event(self, at: datetime) -> Self:
        """Return the streak with one more event, which was not counted before."""
        return replace(self, since=min(self.since, at), latest=max(self.latest, at), count=self.count + 1)


class Recovery(Struct, frozen=True):
    """The success that ended trouble: its timestamp, and the streaks that it ended."""

    at: datetime
    by_event_type: Mapping[EventType, Streak]


class Streaks(Struct, frozen=True):
    """The streaks that last, by event type, and the last successes.

    `late`: events that were reported only after a success that followed them. They make no later event a repetition.
    The next success ends them, and so is a recovery for the targets to which they were sent. `recovery`: the last one.
    """

    by_event_type: Mapping[EventType, Streak] = field(default_factory=dict)
    late: Mapping[EventType, Streak] = field(default_factory=dict)
    last_success_at: datetime | None = None
    recovery: Recovery | None = None

    def with_trouble(self, event_type: EventType, at: datetime) -> Self:
        """Return the streaks after one more event of that type."""
        if self.last_success_at and at <= self.last_success_at:
            return replace(self, late=_with_event(self.late, event_type, at))
        return replace(self, by_event_type=_with_event(self.by_event_type, event_type, at))

    def with_success(self, at: datetime) -> Self:
        """Return the streaks after a success."""
        if self.last_success_at and at <= self.last_success_at:
            return self
        # Only a late success meets streaks that last beyond it. Their events before it are over, and of those after it
        # only the latest is known.
        lasting = {
            event_type: streak if streak.since > at else Streak(streak.latest, streak.latest)
            for event_type, streak in self.by_event_type.items()
            if streak.latest > at
        }
        after = replace(self, by_event_type=lasting, late={}, last_success_at=at)
        ended = _merged(self.by_event_type, self.late)
        return after if lasting or not ended else replace(after, recovery=Recovery(at, ended))

    def overtaking(self, event_type: EventType, as_of: datetime) -> str | None:
        """Return what an event that was true `as_of` then is out of date by; None if it is up to date.

        Trouble is over once a success followed it, and good news once there is trouble again, of whatever type.
        """
        if event_type in TROUBLE:
            if self.last_success_at and self.last_success_at > as_of:
                return f"over since the success of {iso_milliseconds(self.last_success_at)}"
            return None
        since = [streak.since for streak in self.by_event_type.values() if streak.latest > as_of]
        return f"trouble again since {iso_milliseconds(min(since))}" if since else None

    def without(self, event_types: Collection[EventType]) -> Self:
        """Return the streaks of all other event types."""
        others = {other: streak for other, streak in self.by_event_type.items() if other not in event_types}
        return replace(self, by_event_type=others)


def _with_event(streaks: Mapping[EventType, Streak], event_type: EventType, at: datetime) -> dict[EventType, Streak]:
    known = streaks.get(event_type)
    return {**streaks, event_type: known.with_event(at) if known else Streak(at, at)}


def _merged(current: Mapping[EventType, Streak], late: Mapping[EventType, Streak]) -> Mapping[EventType, Streak]:
    merged = dict(current)
    for event_type, streak in late.items():
        known = merged.get(event_type)
        merged[event_type] = (
            replace(known, since=min(known.since, streak.since), count=known.count + streak.count) if known else streak
        )
    return merged
