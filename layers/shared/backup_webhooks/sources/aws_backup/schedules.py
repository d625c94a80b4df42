"""Turns AWS Backup's schedule expressions into the schedules of messages. Pure.

AWS's cron is Quartz's without seconds: `cron(0 5 ? * * *)`. The API also takes it without the word: `0 12 * * ? *`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

# AWS uses these for a rule that has none.
DEFAULT_EXPRESSION, DEFAULT_TIMEZONE = "cron(0 5 ? * * *)", "UTC"
_CRON_FIELDS = 6
_HOURS = {"hour": 1, "day": 24}
_MOST_HOURS = 8784
_STARTS_COMPARED = 12
_SHORTEST_SILENCE = timedelta(days=2)


class ServerSchedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The schedule fields of a `ServerPolicyChanged`: it has `backup_schedule` or `backup_interval_hours`."""

    backup_schedule: str | None = None
    backup_interval_hours: int | None = None
    timezone: str = DEFAULT_TIMEZONE

    @classmethod
    def of(cls, expression: str | None, timezone: str | None) -> ServerSchedule:
        """Return the schedule of a rule's expression in its zone. Raise `InvalidSchedule` with field and reason.

        An expression that cannot be converted exactly is refused: a wrong schedule would report false misses.
        """
        zone = timezone or DEFAULT_TIMEZONE
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise InvalidSchedule("timezone", f"{zone!r} is not known; allowed: an IANA time zone") from None
        kind, inner = _parts((expression or DEFAULT_EXPRESSION).strip())
        if kind == "rate":
            return cls(backup_interval_hours=_interval_hours(inner), timezone=zone)
        if len(inner.split()) != _CRON_FIELDS:
            raise InvalidSchedule("expression", f"{expression!r} has not six fields")
        _cron(f"0 {inner}", zone)
        return cls(backup_schedule=f"0 {inner}", timezone=zone)

    def next_after(self, timestamp: datetime) -> datetime | None:
        """Return the first scheduled start after the timestamp, or None if there is none. An interval begins at it."""
        if self.backup_schedule is not None:
            return _cron(self.backup_schedule, self.timezone).next_after(timestamp)
        return timestamp + timedelta(hours=self.backup_interval_hours or 0)

    def fires_at(self, timestamp: datetime) -> bool:
        """Return whether the timestamp is a scheduled start: False for an interval, which has no fixed starts."""
        return self.backup_schedule is not None and self.next_after(timestamp - timedelta(milliseconds=1)) == timestamp

    def longest_silence(self, timestamp: datetime) -> timedelta:
        """Return for how long after its newest job a resource without another still counts as selected.

        This is twice the longest time between the next scheduled starts, and two days at least.
        """
        longest, start = timedelta(), self.next_after(timestamp)
        for _ in range(_STARTS_COMPARED):
            following = start and self.next_after(start)
            if not start or not following:
                break
            longest, start = max(longest, following - start), following
        return max(2 * longest, _SHORTEST_SILENCE)


@lru_cache(maxsize=256)
def _cron(expression: str, timezone: str) -> QuartzCron:
    return QuartzCron(expression, ZoneInfo(timezone))


def _parts(expression: str) -> tuple[str, str]:
    if match := re.fullmatch(r"(cron|rate)\((.*)\)", expression):
        return match[1], match[2].strip()
    return "cron", expression


def _interval_hours(rate: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,5}) (minute|hour|day)s?", rate)
    if match is None:
        raise InvalidSchedule("expression", f"rate({rate}) is not understood")
    if match[2] == "minute":
        hours, rest = divmod(int(match[1]), 60)
    else:
        hours, rest = int(match[1]) * _HOURS[match[2]], 0
    if rest or not 1 <= hours <= _MOST_HOURS:
        raise InvalidSchedule("expression", f"rate({rate}) is not a whole number of hours from 1 to {_MOST_HOURS}")
    return hours
