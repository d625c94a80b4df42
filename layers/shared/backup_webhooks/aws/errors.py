"""Errors that mean the same in every room: bad input from a queue, a lost race, a wait."""

from __future__ import annotations


class InvalidMessage(ValueError):
    """A message that cannot be used.

    `field` is where: a path such as `$.backupFinishedDate`, or `$` for the message as a whole (a required
    field that is missing is then named in the reason). The reason says what is allowed.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class TryAgain(Exception):
    """The message cannot be handled yet. SQS delivers it again after the queue's visibility timeout."""


class Conflict(Exception):
    """Another writer has changed the item since it was read."""


class Changed(Exception):
    """The stored version is not the one that the caller expected: `If-Match` does not hold."""
