"""The ways in which a call can fail, and the choice of one call to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.world.boundary import KILLS, Crossing, Fault, Request


@dataclass(frozen=True)
class Way:
    """How a call fails: its first try, which botocore repeats, or all of them."""

    fault: Fault
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.fault}{', each time' if self.lasting else ''}"


@dataclass
class Chosen:
    """Makes one call fail in one way. `times`: how often it has."""

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
POST = [Way(fault) for fault in KILLS]
NOT_DONE, DONE, DONE_AND_REPEATED = (
    Way(Fault.ERROR, lasting=True),
    Way(Fault.ERROR_AFTER, lasting=True),
    Way(Fault.ERROR_AFTER),
)


def different(request: Request) -> Sequence[Way]:
    """Return the ways that differ for a function. The others differ only for botocore.

    A kill before a call equals a kill after the write before it. A kill after a read is the same, as a read has no
    effect that could be lost or repeated.
    """
    if request.service == "endpoint":
        return [Way(Fault.KILLED_AFTER)]
    if request.is_read:
        return [NOT_DONE]
    return [Way(Fault.KILLED_AFTER), NOT_DONE, DONE, DONE_AND_REPEATED]
