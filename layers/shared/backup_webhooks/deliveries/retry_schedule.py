"""When a failed delivery is attempted again, for targets whose customer has asked for it (`delivery: retry`)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=10)


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The pauses before each retry (design section 5: 5 s to 24 h), each taken with ±20 % so that none come at once."""

    delays: Sequence[timedelta]
    chance: random.Random = field(default_factory=random.SystemRandom, compare=False, repr=False)

    def retry_at(self, retries: int, retry_after: str | None, now: datetime) -> datetime | None:
        """When to attempt again after `retries` retries; None after the last of them.

        What the endpoint asked for with `Retry-After` counts up to 10 h (and up to 20 % are added, so that not all come
        back at once); it never makes a pause shorter.
        """
        if retries >= len(self.delays):
            return None
        delay = self.delays[retries] * self.chance.uniform(1 - JITTER, 1 + JITTER)
        return now + max(delay, parse_retry_after(retry_after, now) * self.chance.uniform(1, 1 + JITTER))


def parse_retry_after(text: str | None, now: datetime) -> timedelta:
    """What `Retry-After` (RFC 9110, 10.2.3) asks for, seconds or a date, at most 10 h; nothing for what is neither."""
    text = (text or "").strip()
    try:
        if text.isascii() and text.isdigit():
            asked = timedelta(seconds=min(int(text), LONGEST_RETRY_AFTER // timedelta(seconds=1)))
        else:
            date = parsedate_to_datetime(text)
            # HTTP's dates are UTC, whatever stands for their zone.
            asked = date.replace(tzinfo=UTC) - now
    except (ValueError, OverflowError):
        return timedelta(0)
    return min(max(asked, timedelta(0)), LONGEST_RETRY_AFTER)
