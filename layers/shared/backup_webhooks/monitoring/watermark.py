"""Up to when the queue is known to have been read: the "as of" of every verdict on a missed backup (design section 6).

missed_backups sends a heartbeat through BackupEventsQueue at each tick. One that comes out again says that what was
sent before it was *received*, and that only nearly: its receiver may have been killed, and SQS then shows the message
again only after the queue's visibility timeout; and a standard queue may hand over new messages before old ones. A
heartbeat therefore vouches for its moment a while after it was seen, and once no older one is still on its way.
Pure; all moments are those of ticks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

# Ticks come each minute; a longer silence is a gap, of which a server policy's misses are told as one.
GAP = timedelta(minutes=10)
# A heartbeat that is overtaken for so long (five visibility timeouts) was never sent, or fails again and again: of
# what was on the queue with it all else has had five chances since the queue is read again.
LOST_AFTER = timedelta(minutes=16)
_MOST_UNREAD = 3000  # two days of them, in one item


class Seen(Struct, frozen=True):
    """A heartbeat that has come out of the queue: when it was sent, and the tick that saw it out."""

    sent_at: datetime
    seen_at: datetime


class Watermark(Struct, frozen=True):
    """What the ticks know of the queue and of themselves.

    `read`: the heartbeats that the notifier has read since the tick before. `seen`: those that ticks have seen read and
    that may still have to vouch, ascending; `unread`: those that were sent and not seen since, ascending. `ran_at`: the
    newest tick; `resumed_at`: the newest one that followed a gap, or was the first of all.
    """

    read: frozenset[datetime] = frozenset()
    seen: tuple[Seen, ...] = ()
    unread: tuple[datetime, ...] = ()
    ran_at: datetime | None = None
    resumed_at: datetime | None = None

    @property
    def newest_read(self) -> datetime | None:
        """When the newest heartbeat that was read was sent."""
        return max([*self.read, *(heartbeat.sent_at for heartbeat in self.seen)], default=None)

    def ticked(self, now: datetime, grace: timedelta) -> Self:
        """The watermark at the tick `now`, which sends a heartbeat of that time."""
        # Ticks may come late and out of order; a heartbeat seen now was not seen before the newest tick.
        now = max(now, self.ran_at or now)
        resumed = self.ran_at is None or now - self.ran_at > GAP
        known = {heartbeat.sent_at for heartbeat in self.seen}
        fresh = [Seen(sent_at, now) for sent_at in self.read if sent_at not in known and sent_at <= now]
        seen = sorted([*self.seen, *fresh], key=lambda heartbeat: heartbeat.sent_at)
        given_up = max((heartbeat.sent_at for heartbeat in seen if heartbeat.seen_at <= now - LOST_AFTER), default=None)
        unread = [
            sent_at
            for sent_at in self.unread
            if sent_at not in self.read and sent_at not in known and (given_up is None or sent_at > given_up)
        ]
        ticked = replace(self, read=frozenset(), seen=tuple(seen), unread=tuple(unread), ran_at=now)
        as_of = ticked.as_of(now, grace)
        return replace(
            ticked,
            seen=tuple(heartbeat for heartbeat in seen if as_of is None or heartbeat.sent_at >= as_of),
            unread=(*unread, now)[-_MOST_UNREAD:],
            resumed_at=now if resumed else self.resumed_at,
        )

    def as_of(self, now: datetime, grace: timedelta) -> datetime | None:
        """The newest moment up to which all messages are taken to be recorded; None before there is one."""
        return max(
            (
                heartbeat.sent_at
                for heartbeat in self.seen
                if heartbeat.seen_at <= now - grace and all(sent_at > heartbeat.sent_at for sent_at in self.unread[:1])
            ),
            default=None,
        )
