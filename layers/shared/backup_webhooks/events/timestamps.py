"""Points in time: aware, in UTC inside; text only at the edge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

Clock = Callable[[], datetime]
"""Answers with the current time as an aware `datetime` in UTC."""

FIRST_YEAR, LAST_YEAR = 1970, 2999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEPARATORS = frozenset("T ")
_CHARACTERS = frozenset("0123456789+-:.,ZW") | _SEPARATORS


def utc_now() -> datetime:
    """The current time, aware, in UTC: the `Clock` of everything that is not a test."""
    return datetime.now(UTC)


class Timestamp(datetime):
    """A `datetime` that came in a message: ISO 8601 with a zone, kept in UTC to the millisecond, years 1970 to 2999.

    A type of its own because msgspec reads a plain `datetime` as RFC 3339, which leaves out forms of
    ISO 8601 that senders use (Java's `2018-12-20T17:00Z`). The years are bounded so that adding an hour or an
    interval can't overflow.
    """

    @classmethod
    def decode(cls, expected: type, value: object) -> Self:
        """msgspec's hook for fields of this type."""
        if expected is cls:
            return cls.parse(value)
        raise NotImplementedError(expected)

    @classmethod
    def of(cls, timestamp: datetime) -> Self:
        """The same point in time, to the millisecond."""
        return cls.parse(iso_milliseconds(timestamp))

    @classmethod
    def parse(cls, text: object) -> Self:
        """The moment that `text` names; a `ValueError` that says what is allowed otherwise."""
        try:
            # `fromisoformat` takes any character between date and time, and a NUL behind them.
            if not isinstance(text, str) or not _CHARACTERS.issuperset(text) or len(_SEPARATORS & set(text)) != 1:
                raise ValueError(text)
            timestamp = cls.fromisoformat(text)
            if timestamp.tzinfo is None:
                raise ValueError(text)
            # To the millisecond, as keys and stored times are: what is compared with them must not differ from them.
            timestamp = timestamp.astimezone(UTC).replace(microsecond=timestamp.microsecond // 1000 * 1000)
            if not FIRST_YEAR <= timestamp.year <= LAST_YEAR:
                raise ValueError(text)
        except (ValueError, OverflowError):
            # The text itself stays out: it may be hostile, and the message stands whole in the dead letters.
            raise ValueError(
                "expected an ISO 8601 date and time with a zone, such as 2018-12-20T01:39:38Z, "
                f"in the years {FIRST_YEAR} to {LAST_YEAR}"
            ) from None
        return timestamp


def iso_milliseconds(timestamp: datetime) -> str:
    """`2018-12-20T17:00:06.476Z`: UTC, cut (not rounded) to the millisecond, so that text order is time order."""
    return timestamp.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def epoch_milliseconds(timestamp: datetime) -> int:
    """Whole milliseconds since 1970-01-01T00:00:00Z, cut, for the numbers that DynamoDB compares."""
    return (timestamp - _EPOCH) // timedelta(milliseconds=1)


def from_epoch_milliseconds(milliseconds: int) -> datetime:
    """The moment so many milliseconds after 1970-01-01T00:00:00Z."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
