"""The retry schedule: when a failed delivery is attempted again, for targets in the delivery mode `retry`."""

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
    """The delay before each retry (design section 6: 5 s to 24 h), ±20 % so that retries do not come all at once."""

    delays: Sequence[timedelta]
    chance: random.Random = field(default_factory=random.SystemRandom, compare=False, repr=False)

    def retry_at(self, retries: int, retry_after: str | None, now: datetime) -> datetime | None:
        """Return when to attempt again after `retries` retries, or None after the last of them.

        `retry_after`: the endpoint's `Retry-After`, honoured up to 10 h. Up to 20 % are added, so that deliveries do
        not come back all at once. It never shortens a delay.
        """
        if retries >= len(self.delays):
            return None
        delay = self.delays[retries] * self.chance.uniform(1 - JITTER, 1 + JITTER)
        return now + max(delay, parse_retry_after(retry_after, now) * self.chance.uniform(1, 1 + JITTER))


def parse_retry_after(text: str | None, now: datetime) -> timedelta:
    """Return the delay that `Retry-After` asks for (RFC 9110, 10.2.3: seconds or a date), at most 10 h, else zero."""
    text = (text or "").strip()
    try:
        if text.isascii() and text.isdigit():
            asked = timedelta(seconds=min(int(text), LONGEST_RETRY_AFTER // timedelta(seconds=1)))
        else:
            date = parsedate_to_datetime(text)
            # HTTP dates are in UTC, whatever zone they name.
            asked = date.replace(tzinfo=UTC) - now
    except (ValueError, OverflowError):
        return timedelta(0)
    return min(max(asked, timedelta(0)), LONGEST_RETRY_AFTER)
