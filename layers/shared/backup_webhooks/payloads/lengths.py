"""Lengths as destinations count them, and texts that are cut to them: never within a character, nor before its accents.

Where a destination says "characters" and not which, UTF-16's units are counted: no text has fewer of them than it has
code points.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import msgspec

from backup_webhooks.payloads.sanitize import boundary

ELLIPSIS = "…"

type Measure = Callable[[str], int]


def utf16_units(text: str) -> int:
    """What JavaScript, Java and .NET call its length."""
    return len(text.encode("utf-16-le")) // 2


def utf8_bytes(text: str) -> int:
    """Its length on the wire, outside of JSON."""
    return len(text.encode())


def json_bytes(message: Any) -> int:
    """The message's length as it is posted."""
    return len(msgspec.json.encode(message))


def cut(text: str, most: int, measure: Measure = utf16_units) -> str:
    """As much of the text as measures `most`, with an ellipsis where that is not all.

    Where markup is to be escaped, `measure` is to look at the escaped text, and what is cut is the text before: an
    escape is never cut in two.
    """
    if measure(text) <= most:
        return text
    kept = bisect_right(range(len(text)), most, key=lambda length: measure(text[:length] + ELLIPSIS)) - 1
    return text[: boundary(text, kept)].rstrip() + ELLIPSIS
