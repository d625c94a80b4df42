"""Pages of what a query finds, and the cursors by which the next one is asked for.

A cursor holds the rest of a key, never its account: whoever made one up would still page through his own account only.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from msgspec import Struct

from backup_webhooks.aws.items import PRINTABLE


class InvalidCursor(ValueError):
    """Text that is no cursor, or one for another list."""


class Page[Item](Struct, frozen=True):
    """Some of what there is. `cursor`: where the next page begins; None where there is nothing more."""

    items: Sequence[Item]
    cursor: str | None


def to_cursor(*parts: str) -> str:
    """The parts as text that can stand in a URL."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str, length: int) -> Sequence[str]:
    """The parts of a cursor that has so many of them; `InvalidCursor` otherwise."""
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        raise InvalidCursor(cursor) from None
    # DynamoDB takes no key part that is empty, or longer than 1 KiB.
    if not isinstance(parts, list) or len(parts) != length or not all(map(_may_be_key, parts)):
        raise InvalidCursor(cursor)
    return parts


def _may_be_key(part: object) -> bool:
    # A lone surrogate can't be sent.
    return isinstance(part, str) and len(part.encode(errors="replace")) <= 1024 and bool(re.match(PRINTABLE, part))  # noqa: PLR2004
