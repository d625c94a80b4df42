"""Streaks: how long backups of a server policy have gone wrong in one way, and which success ended it.

Pure. Moments are those of the events: a backup's end, a missed start's deadline. What comes late is put where it
belongs as far as that is still known; what is older than the last success changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from backup_webhooks.messages import WebhookEvent

# What `Backup.Recovered` is the end of.
FAILING = (WebhookEvent.FAILURE, WebhookEvent.MISSING)


@dataclass(frozen=True, slots=True)
class Streak:
    """Events of one kind with no success after the first of them.

    `since`, `latest`: of the first and the newest; `previous`: of the one before the newest, None where there was none.
    """

    since: datetime
    latest: datetime
    previous: datetime | None = None
    count: int = 1

    def with_one(self, at: datetime) -> Self:
        """The streak with one more event, which was not counted before."""
        if at > self.latest:
            return replace(self, latest=at, previous=self.latest, count=self.count + 1)
        previous = at if self.previous is None else max(self.previous, at)
        return replace(self, since=min(self.since, at), previous=previous, count=self.count + 1)


@dataclass(frozen=True, slots=True)
class Streaks:
    """The streaks that go on, by event; the last success; and the last that ended any of them."""

    of_event: Mapping[WebhookEvent, Streak] = field(default_factory=dict)
    last_success_at: datetime | None = None
    recovered_at: datetime | None = None

    def with_trouble(self, event: WebhookEvent, at: datetime) -> Self:
        """What is known after a backup that failed, succeeded in part or was missed."""
        if self.last_success_at and at <= self.last_success_at:
            return self
        known = self.of_event.get(event)
        return replace(self, of_event={**self.of_event, event: known.with_one(at) if known else Streak(at, at)})

    def with_success(self, at: datetime) -> Self:
        """What is known after a success."""
        if self.last_success_at and at <= self.last_success_at:
            return self
        # Of those that went on after it, which only a success that comes late can meet, no more is known than the end.
        going_on = {
            event: streak if streak.since > at else Streak(streak.latest, streak.latest)
            for event, streak in self.of_event.items()
            if streak.latest > at
        }
        ended = any(streak.since <= at for streak in self.of_event.values())
        return replace(self, of_event=going_on, last_success_at=at, recovered_at=at if ended else self.recovered_at)

    def ended_by(self, at: datetime) -> Mapping[WebhookEvent, Streak]:
        """The streaks of failures and misses that a success then ends; none where any of them goes on after it."""
        if self.last_success_at and at <= self.last_success_at:
            return {}
        failing = {event: streak for event, streak in self.of_event.items() if event in FAILING}
        return {} if any(streak.latest > at for streak in failing.values()) else failing
