"""What callers are told of input that can't be used."""

from __future__ import annotations


class InvalidField(ValueError):
    """What can't be used of a request: `field` names it, `reason` says what is allowed."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidTarget(InvalidField):
    """A target's setting that can't be used."""
