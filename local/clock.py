"""The local stack's clock, which may run faster than the world's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class LocalClock:
    """Answers with the local stack's time (UTC): as it is at the start, and then `speed` times as fast."""

    speed: float = 1.0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        """Now, here."""
        return self.started + (datetime.now(UTC) - self.started) * self.speed
