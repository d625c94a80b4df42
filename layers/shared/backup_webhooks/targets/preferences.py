"""Preferences: the events that a target's customer does not want, or wants later. All of them are opt-in."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time
from zoneinfo import ZoneInfo

from msgspec import Struct

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import TROUBLE, EventType

MOST_REMIND_HOURS = 720
# Raised by `ZoneInfo`.
_UNKNOWN_ZONE = (KeyError, ValueError, OSError)


class QuietHours(Struct, frozen=True):
    """Daily hours from `start` to `end`, local times in an IANA time zone; over midnight if `end` is before `start`."""

    start: time
    end: time
    timezone: str

    def __contains__(self, now: datetime) -> bool:
        """Return whether `now` is in the quiet hours; False if the time zone is no longer known."""
        try:
            local = now.astimezone(ZoneInfo(self.timezone)).time()
        except _UNKNOWN_ZONE:
            return False
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M} to {self.end:%H:%M} {self.timezone}"


class Preferences(Struct, frozen=True):
    """A target's preferences; by default, every event is sent at once.

    `changes_only`: only the first event of each type since the last success is sent, and the first success after
    another event. `remind_hours`: while the trouble lasts, its newest event is sent again after each so many hours.
    `quiet_hours`: partial successes, successes and recoveries are not sent then. `group`: an event waits for a minute
    and is sent in one message with those that come meanwhile.
    """

    changes_only: bool = False
    remind_hours: int | None = None
    quiet_hours: QuietHours | None = None
    group: bool = False


def check_preferences(preferences: Preferences, event_types: Collection[EventType]) -> None:
    """Raise `InvalidTarget` for preferences that a target of these event types cannot have."""
    if preferences.remind_hours is not None and not preferences.changes_only:
        raise InvalidTarget("preferences.remindHours", "only with changesOnly: without it everything is sent anyway")
    if preferences.remind_hours is not None and not set(event_types) & set(TROUBLE):
        raise InvalidTarget("preferences.remindHours", f"only with {', '.join(TROUBLE)}: the others are over at once")
    if preferences.remind_hours is not None and not 1 <= preferences.remind_hours <= MOST_REMIND_HOURS:
        raise InvalidTarget("preferences.remindHours", f"1 to {MOST_REMIND_HOURS} are allowed")
    if quiet := preferences.quiet_hours:
        if quiet.start == quiet.end:
            raise InvalidTarget(
                "preferences.quietHours.until", "must differ from `from`; to hear nothing, switch the target off"
            )
        try:
            ZoneInfo(quiet.timezone)
        except _UNKNOWN_ZONE:
            raise InvalidTarget(
                "preferences.quietHours.timezone", "must be an IANA time zone, such as Europe/Berlin"
            ) from None
