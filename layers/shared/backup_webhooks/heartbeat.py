"""Up to when the queue is known to have been read: the "as of" of every verdict on a missed backup (design section 6).

missed_backups sends a heartbeat through BackupEventsQueue at each tick. One that comes out again says that what was
sent before it was *received*, not that it was recorded: its receiver may have been killed, and SQS then shows the
message again only after the queue's visibility timeout. A heartbeat therefore vouches for its moment a while after it
was seen.
Pure; all moments are those of ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

# Ticks come each minute; a longer silence is a gap, of which a server policy's misses are told as one.
GAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """A heartbeat that has come out of the queue: when it was sent, and the tick that saw it out."""

    sent_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Watermark:
    """What the ticks know of the queue and of themselves.

    `newest_read`: the newest heartbeat that the notifier has read. `seen`: those that may still have to vouch,
    ascending. `ran_at`: the newest tick; `resumed_at`: the newest one that followed a gap, or was the first of all.
    """

    newest_read: datetime | None = None
    seen: tuple[Seen, ...] = ()
    ran_at: datetime | None = None
    resumed_at: datetime | None = None

    def ticked(self, now: datetime, grace: timedelta) -> Self:
        """The watermark at the tick `now`."""
        # Ticks may come late and out of order; a heartbeat seen now was not seen before the newest tick.
        now = max(now, self.ran_at or now)
        resumed = self.ran_at is None or now - self.ran_at > GAP
        seen = self.seen
        if self.newest_read and (not seen or self.newest_read > seen[-1].sent_at):
            seen = (*seen, Seen(self.newest_read, now))
        vouching = [heartbeat for heartbeat in seen if heartbeat.seen_at <= now - grace]
        return replace(
            self,
            seen=seen[max(len(vouching) - 1, 0) :],
            ran_at=now,
            resumed_at=now if resumed else self.resumed_at,
        )

    def as_of(self, now: datetime, grace: timedelta) -> datetime | None:
        """The newest moment up to which all messages are taken to be recorded; None before there is one."""
        return max((heartbeat.sent_at for heartbeat in self.seen if heartbeat.seen_at <= now - grace), default=None)
