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


class Run(Struct, frozen=True):
    """A run by its start and its limit. `sent_start`: the start as the server sent it, which may lie ahead."""

    started_at: datetime
    limit_at: datetime
    sent_start: datetime
    restore_point_id: str | None = None


class OpenRuns(Struct, frozen=True):
    """A server policy's open runs.

    `waiting`, ascending: those that are not reported. `unfinished`: the newest that was reported. `closed_until`: a
    start up to this time belongs to a run that has ended, or to one before it.
    """

    waiting: tuple[Run, ...] = ()
    unfinished: Run | None = None
    closed_until: datetime | None = None

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
        if is_closed or len(self.waiting) >= MOST_OPEN:
            return self
        return replace(self, waiting=tuple(sorted([*self.waiting, run], key=_start)))

    def with_end(self, started_at: datetime, restore_point_id: str) -> Self:
        """Return the runs without that which ended, and without each that started before it.

        `started_at`: the start that the end names; the clock of another message may differ from it by 5 minutes.
        """
        until = started_at + CLOCK_SKEW

        def is_open(run: Run | None) -> bool:
            return run is not None and run.started_at > until and run.restore_point_id != restore_point_id

        return type(self)(
            waiting=tuple(filter(is_open, self.waiting)),
            unfinished=self.unfinished if is_open(self.unfinished) else None,
            closed_until=max(self.closed_until or until, until),
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
        return type(self)(closed_until=self.closed_until)


def _start(run: Run) -> datetime:
    return run.started_at
