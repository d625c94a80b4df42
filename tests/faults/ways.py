"""The ways in which one call can fail, and a call that does."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.boundary import Crossing, Fault


@dataclass(frozen=True)
class Way:
    """How a call fails: its first try, which botocore repeats, or all of them."""

    fault: Fault
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.fault}{', each time' if self.lasting else ''}"


@dataclass
class Chosen:
    """Lets that call fail in that way; `times`: how often it has."""

    number: int
    way: Way
    times: int = 0

    def __call__(self, crossing: Crossing) -> Fault | None:
        if crossing.number != self.number or not (self.way.lasting or crossing.attempt == 0):
            return None
        self.times += 1
        return self.way.fault


LASTING = [Way(fault, lasting=True) for fault in (Fault.ERROR, Fault.ERROR_AFTER, Fault.LATE)]
ALL = [*(Way(fault) for fault in Fault), *LASTING]
# What differs for a function: its end, and a call that fails as a whole, done or not. The rest is for botocore alone;
# and a kill before a call is one after the call before it.
DIFFERENT = [Way(Fault.KILLED_AFTER), *LASTING[:2]]
