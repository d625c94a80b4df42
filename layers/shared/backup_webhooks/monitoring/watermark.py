"""The watermark: up to when the queue is known to have been read. Misses are judged as of it (design section 6).

missed_backups sends a heartbeat through BackupEventsQueue at each tick. One that has been read shows that most messages
before it were received. Some may not be recorded: SQS shows the messages of a killed consumer again only after the
visibility timeout, and a standard queue may deliver new messages before old ones. So a heartbeat counts only after a
grace period, and once no older one is still on its way. Pure; all timestamps are those of ticks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

# Ticks come each minute. After a longer gap, the misses of a server policy within it are reported as one.
GAP = timedelta(minutes=10)
# A heartbeat that a newer one overtook so long ago (five visibility timeouts) was never sent, or fails every time. All
# other messages that were on the queue with it have had five chances since the queue is read again.
LOST_AFTER = timedelta(minutes=16)
_MOST_UNREAD = 3000  # two days of them, in one item


class SeenHeartbeat(Struct, frozen=True):
    """A heartbeat that was read: when it was sent, and the tick that first saw that it was read."""

    sent_at: datetime
    seen_at: datetime


class Watermark(Struct, frozen=True):
    """The ticks' record of heartbeats, each by the time at which it was sent, and of the ticks themselves.

    `read`: heartbeats that the notifier has read since the last tick. `seen`, ascending: those that ticks have seen as
    read and that may still count. `unread`, ascending: those that were sent and not seen since. `ran_at`: the newest
    tick. `resumed_at`: the newest tick that followed a gap, or the first of all.
    """

    read: frozenset[datetime] = frozenset()
    seen: tuple[SeenHeartbeat, ...] = ()
    unread: tuple[datetime, ...] = ()
    ran_at: datetime | None = None
    resumed_at: datetime | None = None

    @property
    def newest_read(self) -> datetime | None:
        """Return when the newest heartbeat that was read was sent, or None before the first."""
        return max([*self.read, *(heartbeat.sent_at for heartbeat in self.seen)], default=None)

    def after_tick(self, now: datetime, grace: timedelta) -> Self:
        """Return the watermark after the tick `now`, which sends a heartbeat of that time."""
        # Ticks may come late and out of order. A heartbeat seen now was not seen before the newest tick.
        now = max(now, self.ran_at or now)
        resumed = self.ran_at is None or now - self.ran_at > GAP
        known = {heartbeat.sent_at for heartbeat in self.seen}
        fresh = [SeenHeartbeat(sent_at, now) for sent_at in self.read if sent_at not in known and sent_at <= now]
        seen = sorted([*self.seen, *fresh], key=lambda heartbeat: heartbeat.sent_at)
        given_up = max((heartbeat.sent_at for heartbeat in seen if heartbeat.seen_at <= now - LOST_AFTER), default=None)
        unread = [
            sent_at
            for sent_at in self.unread
            if sent_at not in self.read and sent_at not in known and (given_up is None or sent_at > given_up)
        ]
        after = replace(self, read=frozenset(), seen=tuple(seen), unread=tuple(unread), ran_at=now)
        as_of = after.as_of(now, grace)
        return replace(
            after,
            seen=tuple(heartbeat for heartbeat in seen if as_of is None or heartbeat.sent_at >= as_of),
            unread=(*unread, now)[-_MOST_UNREAD:],
            resumed_at=now if resumed else self.resumed_at,
        )

    def as_of(self, now: datetime, grace: timedelta) -> datetime | None:
        """Return the newest timestamp up to which all messages count as recorded, or None before there is one."""
        return max(
            (
                heartbeat.sent_at
                for heartbeat in self.seen
                if heartbeat.seen_at <= now - grace and all(sent_at > heartbeat.sent_at for sent_at in self.unread[:1])
            ),
            default=None,
        )
