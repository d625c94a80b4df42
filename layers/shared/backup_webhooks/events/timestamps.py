"""Timestamps: aware datetimes in UTC inside, text only at the edge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

Clock = Callable[[], datetime]
"""Returns the current time as an aware `datetime` in UTC."""

FIRST_YEAR, LAST_YEAR = 1970, 2999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEPARATORS = frozenset("T ")
_CHARACTERS = frozenset("0123456789+-:.,ZW") | _SEPARATORS


def utc_now() -> datetime:
    """Return the current time, aware, in UTC. All code except tests uses this `Clock`."""
    return datetime.now(UTC)


class Timestamp(datetime):
    """A `datetime` from a message: ISO 8601 with a zone, stored in UTC to the millisecond, years 1970 to 2999.

    It is a separate type because msgspec reads a plain `datetime` as RFC 3339, which lacks forms of ISO 8601 that
    senders use (Java's `2018-12-20T17:00Z`). The years are limited so that adding an hour or an interval cannot
    overflow.
    """

    @classmethod
    def decode(cls, expected: type, value: object) -> Self:
        """Return the parsed value: msgspec's hook for fields of this type. Raise `ValueError` as `parse` does."""
        if expected is cls:
            return cls.parse(value)
        raise NotImplementedError(expected)

    @classmethod
    def of(cls, timestamp: datetime) -> Self:
        """Return the same timestamp, cut to the millisecond."""
        return cls.parse(iso_milliseconds(timestamp))

    @classmethod
    def parse(cls, text: object) -> Self:
        """Return the timestamp that `text` names. Raise `ValueError`, which says what is allowed, if it names none."""
        try:
            # `fromisoformat` takes any character between date and time, and a NUL after them.
            if not isinstance(text, str) or not _CHARACTERS.issuperset(text) or len(_SEPARATORS & set(text)) != 1:
                raise ValueError(text)
            timestamp = cls.fromisoformat(text)
            if timestamp.tzinfo is None:
                raise ValueError(text)
            # Keys and stored times have milliseconds; a more precise timestamp would not compare equal to them.
            timestamp = timestamp.astimezone(UTC).replace(microsecond=timestamp.microsecond // 1000 * 1000)
            if not FIRST_YEAR <= timestamp.year <= LAST_YEAR:
                raise ValueError(text)
        except (ValueError, OverflowError):
            # The error leaves the text out, as it may be hostile. The dead-letter queue holds the whole message.
            raise ValueError(
                "expected an ISO 8601 date and time with a zone, such as 2018-12-20T01:39:38Z, "
                f"in the years {FIRST_YEAR} to {LAST_YEAR}"
            ) from None
        return timestamp


def iso_milliseconds(timestamp: datetime) -> str:
    """Return text such as `2018-12-20T17:00:06.476Z`: UTC, cut (not rounded) to milliseconds. It sorts by time."""
    return timestamp.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def epoch_milliseconds(timestamp: datetime) -> int:
    """Return whole milliseconds since 1970-01-01T00:00:00Z, cut, for the numbers that DynamoDB compares."""
    return (timestamp - _EPOCH) // timedelta(milliseconds=1)


def from_epoch_milliseconds(milliseconds: int) -> datetime:
    """Return the aware UTC time that is so many milliseconds after 1970-01-01T00:00:00Z."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
