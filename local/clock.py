"""The local stack's clock, which may run faster than real time, and be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from backup_webhooks.events.timestamps import utc_now


@dataclass
class LocalClock:
    """The local stack's time (UTC): it starts at the real time, and runs `speed` times as fast.

    The schedules and the gateway use this clock. Functions look up the real time themselves, because no clock is set on
    AWS.
    """

    speed: float = 1.0
    started: datetime = field(default_factory=utc_now)

    def __post_init__(self) -> None:
        # One tuple of local and real time, because other threads read it.
        self._basis = (self.started, self.started)

    def __call__(self) -> datetime:
        """Return the local time."""
        local, real = self._basis
        return local + (utc_now() - real) * self.speed

    def set(self, timestamp: datetime) -> None:
        """Set the local time, from which the clock runs on."""
        self._basis = (timestamp, utc_now())
