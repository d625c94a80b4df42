"""Preferences: which notifications a customer does not want of a target, all of it opt-in."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from msgspec import Struct

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType

MOST_REMIND_HOURS = 720
# What `ZoneInfo` raises.
_NO_ZONE = (KeyError, ValueError, OSError)
# What goes on until a success ends it.
_LASTING = (EventType.FAILURE, EventType.PARTIAL_SUCCESS, EventType.MISSING)


class QuietHours(Struct, frozen=True):
    """From `start` to `end`, local times in an IANA `timezone`; over midnight where the end is before the start."""

    start: time
    end: time
    timezone: str

    def __contains__(self, now: datetime) -> bool:
        """Whether it is quiet then; never where the zone is none that is known any more."""
        try:
            local = now.astimezone(ZoneInfo(self.timezone)).time()
        except _NO_ZONE:
            return False
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M} to {self.end:%H:%M} {self.timezone}"


class Preferences(Struct, frozen=True):
    """What a target's customer wants to hear less of; by default, nothing.

    `changes_only`: of each kind of event the first since the last success, and of successes the first after something
    else. `remind_hours`: while it lasts the newest of these once more, each so many hours by the clock (`reminding`).
    `quiet_hours`: no notifications then but of failures and misses. `gather`: what is sent waits for a minute, and
    becomes one message with all that has come meanwhile.
    """

    changes_only: bool = False
    remind_hours: int | None = None
    quiet_hours: QuietHours | None = None
    gather: bool = False


def check_preferences(preferences: Preferences, event_type: EventType) -> None:
    """`InvalidTarget` for what can't be stored with a target of that event."""
    if preferences.remind_hours is not None and not preferences.changes_only:
        raise InvalidTarget("noise.remindHours", "only with changesOnly: without it everything is sent anyway")
    if preferences.remind_hours is not None and event_type not in _LASTING:
        raise InvalidTarget("noise.remindHours", f"only with {', '.join(_LASTING)}: the others are over at once")
    if preferences.remind_hours is not None and not 1 <= preferences.remind_hours <= MOST_REMIND_HOURS:
        raise InvalidTarget("noise.remindHours", f"1 to {MOST_REMIND_HOURS} are allowed")
    if quiet := preferences.quiet_hours:
        if quiet.start == quiet.end:
            raise InvalidTarget(
                "noise.quietHours.until", "must differ from `from`; to hear nothing, switch the target off"
            )
        try:
            ZoneInfo(quiet.timezone)
        except _NO_ZONE:
            raise InvalidTarget(
                "noise.quietHours.timezone", "must be an IANA time zone, such as Europe/Berlin"
            ) from None
