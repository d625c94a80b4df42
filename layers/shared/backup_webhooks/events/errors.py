"""Errors for input that cannot be used, with texts for the caller."""

from __future__ import annotations


class InvalidField(ValueError):
    """A request's field that cannot be used: `field` names it, `reason` says what is allowed."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidTarget(InvalidField):
    """A target's setting that cannot be used."""
