"""Retries of writes that lost a race, with random pauses that spread the writers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from backup_webhooks.aws.errors import Conflict

_PAUSE_SECONDS = 0.01


def jittered(attempt: int, seconds: float) -> float:
    """Return a random number of seconds, up to `seconds` times 2 to the power of `attempt` (full jitter)."""
    return random.uniform(0, seconds * 2**attempt)  # noqa: S311 - spreads tries, guards nothing


def pause(attempt: int, seconds: float) -> None:
    """Sleep for a time that `jittered` returns."""
    time.sleep(jittered(attempt, seconds))


def retry_on_conflict[T](write: Callable[[], T], tries: int) -> T:
    """Return the answer of `write`, which reads, applies and writes if unchanged. Call it again after a `Conflict`.

    Raise the `Conflict` of the last try, and at once any other error.
    """
    for attempt in range(tries - 1):
        try:
            return write()
        except Conflict:
            time.sleep(random.uniform(0, _PAUSE_SECONDS * (attempt + 1)))  # noqa: S311 - spreads tries, guards nothing
    return write()
