"""The local stack's clock, which may run faster than the world's, and be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


def _world() -> datetime:
    return datetime.now(UTC)


@dataclass
class LocalClock:
    """Answers with the local stack's time (UTC): as it is at the start, and then `speed` times as fast.

    `set` takes it to any other moment. The schedules and the gateway go by it; what a function looks up itself is the
    world's time, as on AWS nobody sets a clock.
    """

    speed: float = 1.0
    started: datetime = field(default_factory=_world)

    def __post_init__(self) -> None:
        # In one, for those who read in other threads: what it said, and when by the world's clock.
        self._basis = (self.started, self.started)

    def __call__(self) -> datetime:
        """Now, here."""
        said, on = self._basis
        return said + (_world() - on) * self.speed

    def set(self, timestamp: datetime) -> None:
        """Let it be that moment now; from there it runs on."""
        self._basis = (timestamp, _world())
