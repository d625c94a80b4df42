"""Open runs: the backups of a server policy that have started and not ended.

Pure. Each run has a limit, which is fixed when its start is recorded. A run that passes it is reported once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.monitoring.expectation import CLOCK_SKEW

# A bound on a server policy's item. If a policy has more, the oldest are reported in any case.
MOST_OPEN = 100
_MOST_ENDED_AHEAD = 50


class Run(Struct, frozen=True):
    """A run by its start and its limit. `sent_start`: the start as the server sent it, which may lie ahead."""

    started_at: datetime
    limit_at: datetime
    sent_start: datetime
    restore_point_id: str | None = None


class OpenRuns(Struct, frozen=True):
    """A server policy's open runs.

    `waiting`, ascending: those that are not reported. `unfinished`: the newest that was reported. `closed_until`: a
    start up to this time belongs to a run that has ended, or to one before it. `ended_ahead`: the restore points of the
    newest closed runs whose start lay ahead. A copy of such a start is judged as later than its end.
    """

    waiting: tuple[Run, ...] = ()
    unfinished: Run | None = None
    closed_until: datetime | None = None
    ended_ahead: tuple[str, ...] = ()

    @property
    def first(self) -> Run | None:
        """Return the run whose limit passes first, or None if no run is waiting."""
        return min(self.waiting, key=lambda run: run.limit_at, default=None)

    @property
    def next_limit(self) -> datetime | None:
        """Return the first limit that passes, or None if no run is waiting."""
        return self.first.limit_at if self.first else None

    def with_start(self, run: Run) -> Self:
        """Return the runs with one more, unless its end, or that of a later one, is known."""
        is_closed = self.closed_until is not None and run.started_at <= self.closed_until
        if is_closed or self._knows(run.restore_point_id) or len(self.waiting) >= MOST_OPEN:
            return self
        return replace(self, waiting=tuple(sorted([*self.waiting, run], key=_start)))

    def _knows(self, restore_point_id: str | None) -> bool:
        reported = (self.unfinished,) if self.unfinished else ()
        known = (*self.ended_ahead, *(run.restore_point_id for run in (*self.waiting, *reported)))
        return restore_point_id is not None and restore_point_id in known

    def with_end(self, started_at: datetime, restore_point_id: str, *, ahead: bool = False) -> Self:
        """Return the runs without that which ended, and without each that started before it.

        `started_at`: the start that the end names; the clock of another message may differ from it by 5 minutes.
        `ahead`: whether it is judged as earlier than it was sent.
        """
        until = started_at + CLOCK_SKEW

        def is_open(run: Run | None) -> bool:
            return run is not None and run.started_at > until and run.restore_point_id != restore_point_id

        known = [*self.waiting, *([self.unfinished] if self.unfinished else [])]
        closed = [run.restore_point_id for run in known if run.sent_start != run.started_at and not is_open(run)]
        ended = dict.fromkeys([*self.ended_ahead, *filter(None, closed), *([restore_point_id] if ahead else [])])
        return type(self)(
            waiting=tuple(filter(is_open, self.waiting)),
            unfinished=self.unfinished if is_open(self.unfinished) else None,
            closed_until=max(self.closed_until or until, until),
            ended_ahead=tuple(ended)[-_MOST_ENDED_AHEAD:],
        )

    def after_report(self, run: Run) -> Self:
        """Return the runs once this one is reported as unfinished."""
        return replace(
            self,
            waiting=tuple(other for other in self.waiting if other != run),
            unfinished=max(self.unfinished or run, run, key=_start),
        )

    def dropped(self) -> Self:
        """Return no open runs."""
        return type(self)(closed_until=self.closed_until, ended_ahead=self.ended_ahead)


def _start(run: Run) -> datetime:
    return run.started_at
