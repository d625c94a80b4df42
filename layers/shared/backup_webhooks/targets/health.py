"""A target's health: when its circuit opens, so that its deliveries are deferred, and when it is switched off."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

GONE = 410
# So many failures in a row open the circuit.
CIRCUIT_OPENS_AFTER = 3
# An attempt that takes so long holds up a whole batch, whatever its result.
SLOW = timedelta(seconds=5)
GIVEN_UP_AFTER = timedelta(days=5)
# Functions know of each other's failures within 30 s (`TargetsCache`). A success in that time may go unrecorded. Only a
# later failure shows that there was none.
SETTLED_AFTER = timedelta(seconds=60)


class Health(Struct, frozen=True):
    """A target's failures since its last success; none after one. Timestamps are aware, in UTC.

    `failing_since`: the first failure. `confirmed_at`: the first one later than `SETTLED_AFTER` after it. `slow`: the
    last attempt took `SLOW` or longer, though it may have succeeded. `switched_off_at` and its reason are set if the
    service switched the target off, not if its customer did.
    """

    consecutive_failures: int = 0
    failing_since: datetime | None = None
    confirmed_at: datetime | None = None
    last_status: int | None = None
    last_reason: str | None = None
    slow: bool = False
    switched_off_at: datetime | None = None
    switched_off_reason: str | None = None

    @property
    def circuit_open(self) -> bool:
        """Return whether deliveries to the target are deferred to the retry queue, so that no others wait for it."""
        return self.slow or self.consecutive_failures >= CIRCUIT_OPENS_AFTER

    def confirmed_by(self, now: datetime) -> bool:
        """Return whether a failure at `now` confirms the first one."""
        return self.confirmed_at is None and self.failing_since is not None and now - self.failing_since > SETTLED_AFTER

    def reason_to_switch_off(self, now: datetime) -> str | None:
        """Return why a target that has just failed is to be switched off, or None if it is not."""
        if self.last_status == GONE:
            return "answered 410 Gone"
        if self.confirmed_at is not None and now - self.confirmed_at >= GIVEN_UP_AFTER:
            return f"nothing but failures for {GIVEN_UP_AFTER.days} days; the last: {self.last_reason}"
        return None
