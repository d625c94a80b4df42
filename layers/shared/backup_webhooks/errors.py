"""What callers are told of input that can't be used."""

from __future__ import annotations


class InvalidTarget(ValueError):
    """A target's setting that can't be used: `field` names it, `reason` says what is allowed."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
