"""AWS Backup's schedule expressions as schedules of ours. Pure.

AWS's cron is Quartz's without seconds: `cron(0 5 ? * * *)`, and in the API also without the word, `0 12 * * ? *`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron

# What AWS takes where a rule has none.
DEFAULT_EXPRESSION, DEFAULT_TIMEZONE = "cron(0 5 ? * * *)", "UTC"
_CRON_FIELDS = 6
_HOURS = {"hour": 1, "day": 24}
_MOST_HOURS = 8784
_FIRES_CONSIDERED = 12
_SHORTEST_SILENCE = timedelta(days=2)


class ServerSchedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The schedule's fields as `ServerPolicyChanged` has them: `backup_schedule` or `backup_interval_hours`."""

    backup_schedule: str | None = None
    backup_interval_hours: int | None = None
    timezone: str = DEFAULT_TIMEZONE

    @classmethod
    def of(cls, expression: str | None, timezone: str | None) -> ServerSchedule:
        """What the rule's expression says in its zone.

        Raises `InvalidSchedule`, with the field and the reason, for what can't be expressed: there is then no schedule,
        as a wrong one would be a false alarm.
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
        """The first scheduled start after the moment, from which an interval counts; None where none is to come."""
        if self.backup_schedule is not None:
            return _cron(self.backup_schedule, self.timezone).next_after(timestamp)
        return timestamp + timedelta(hours=self.backup_interval_hours or 0)

    def fires_at(self, timestamp: datetime) -> bool:
        """Whether the moment is a scheduled start; of an interval nobody can say."""
        return self.backup_schedule is not None and self.next_after(timestamp - timedelta(milliseconds=1)) == timestamp

    def longest_silence(self, timestamp: datetime) -> timedelta:
        """For how long after its newest job a resource may be silent and still be taken for selected: twice the
        longest time between scheduled starts, and two days at least.
        """
        longest, fire = timedelta(), self.next_after(timestamp)
        for _ in range(_FIRES_CONSIDERED):
            following = fire and self.next_after(fire)
            if not fire or not following:
                break
            longest, fire = max(longest, following - fire), following
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
