"""Noise: which notifications a customer does not want of a target, all of it opt-in.

Pure, and the same for a message that comes twice: it is judged by the times of its events, never by what was sent.
"""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from msgspec import Struct

from backup_webhooks.errors import InvalidTarget
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.moments import iso_milliseconds

MOST_REMIND_HOURS = 720
# What `ZoneInfo` raises.
_NO_ZONE = (KeyError, ValueError, OSError)
# What goes on until a success ends it.
_LASTING = (WebhookEvent.FAILURE, WebhookEvent.PARTIAL_SUCCESS, WebhookEvent.MISSING)
# Nobody wants to sleep through these.
_NEVER_QUIET = (WebhookEvent.FAILURE, WebhookEvent.MISSING)


class Repetition(Struct, frozen=True):
    """That a notice tells nothing new: `since` when it is so; None of successes where nothing was wrong before."""

    since: datetime | None = None


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


class Noise(Struct, frozen=True):
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

    def hold_back(
        self, event: WebhookEvent, repetition: Repetition | None, now: datetime, *, is_loud: bool = True
    ) -> str | None:
        """Why a notice of an event is not to be sent now; None where it is.

        `is_loud`: whether good news makes a sound at its destination; it doesn't where it closes an incident.
        """
        if self.changes_only and repetition:
            return f"nothing new since {iso_milliseconds(repetition.since)}" if repetition.since else "nothing new"
        if self.quiet_hours and is_loud and event not in _NEVER_QUIET and now in self.quiet_hours:
            return f"quiet hours: {self.quiet_hours}"
        return None


def check_noise(noise: Noise, event: WebhookEvent) -> None:
    """`InvalidTarget` for what can't be stored with a target of that event."""
    if noise.remind_hours is not None and not noise.changes_only:
        raise InvalidTarget("noise.remindHours", "only with changesOnly: without it everything is sent anyway")
    if noise.remind_hours is not None and event not in _LASTING:
        raise InvalidTarget("noise.remindHours", f"only with {', '.join(_LASTING)}: the others are over at once")
    if noise.remind_hours is not None and not 1 <= noise.remind_hours <= MOST_REMIND_HOURS:
        raise InvalidTarget("noise.remindHours", f"1 to {MOST_REMIND_HOURS} are allowed")
    if quiet := noise.quiet_hours:
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
