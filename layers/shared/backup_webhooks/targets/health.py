"""How a target has answered of late: what decides whether it is isolated, and when it is switched off."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

GONE = 410
# Failures in a row after which nobody but its own lane waits for a target.
ISOLATED_AFTER = 3
# An exchange that takes so long holds up a whole batch, whatever comes of it.
SLOW = timedelta(seconds=5)
GIVEN_UP_AFTER = timedelta(days=5)
# Functions know of each other's failures within 30 s (`TargetsCache`). A success in that time may go unrecorded, so
# only a failure after it shows that there was none in between.
SETTLED_AFTER = timedelta(seconds=60)


class Health(Struct, frozen=True):
    """A target's failures since its last success; all empty after one.

    `failing_since`: the first of them. `confirmed_at`: the first that came later than `SETTLED_AFTER` after that one.
    `slow`: the last attempt took `SLOW` or longer, though it may have succeeded. Times are aware, in UTC.
    `switched_off_at` and its reason are set where we switched the target off, not where its customer did.
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
    def isolated(self) -> bool:
        """Whether its deliveries are left to the lane in which nobody else waits."""
        return self.slow or self.consecutive_failures >= ISOLATED_AFTER

    def confirmed_by(self, now: datetime) -> bool:
        """Whether a failure at that time is the one that confirms the first."""
        return self.confirmed_at is None and self.failing_since is not None and now - self.failing_since > SETTLED_AFTER

    def reason_to_switch_off(self, now: datetime) -> str | None:
        """Why a target that has just failed is not to be called any more; None while it is."""
        if self.last_status == GONE:
            return "answered 410 Gone"
        if self.confirmed_at is not None and now - self.confirmed_at >= GIVEN_UP_AFTER:
            return f"nothing but failures for {GIVEN_UP_AFTER.days} days; the last: {self.last_reason}"
        return None
