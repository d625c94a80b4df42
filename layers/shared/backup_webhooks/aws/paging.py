"""Pages of a query's results, and the cursors that request the next page.

A cursor holds the rest of a key, never its account. So a forged cursor still leads only to the caller's own account.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from msgspec import Struct

from backup_webhooks.aws.items import PRINTABLE


class InvalidCursor(ValueError):
    """The text is no cursor, or one for another list."""


class Page[Item](Struct, frozen=True):
    """A part of the results. `cursor`: where the next page begins; None if there are no more."""

    items: Sequence[Item]
    cursor: str | None


def to_cursor(*parts: str) -> str:
    """Return the parts as text that a URL can hold."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str, length: int) -> Sequence[str]:
    """Return the parts of a cursor. Raise `InvalidCursor` if it is no cursor of that many parts."""
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        raise InvalidCursor(cursor) from None
    # DynamoDB accepts no key part that is empty or longer than 1 KiB.
    if not isinstance(parts, list) or len(parts) != length or not all(map(_may_be_key, parts)):
        raise InvalidCursor(cursor)
    return parts


def _may_be_key(part: object) -> bool:
    # `replace`, as a lone surrogate has no encoding.
    return isinstance(part, str) and len(part.encode(errors="replace")) <= 1024 and bool(re.match(PRINTABLE, part))  # noqa: PLR2004
