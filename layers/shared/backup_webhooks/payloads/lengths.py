"""Lengths as destinations count them, and texts cut to them, neither within a character nor before its accents.

If a destination does not say which "characters" it counts, UTF-16 code units are counted: a text never has fewer units
than code points.
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
    """Return the text's length as JavaScript, Java and .NET count it."""
    return len(text.encode("utf-16-le")) // 2


def utf8_bytes(text: str) -> int:
    """Return the text's length on the wire, outside JSON."""
    return len(text.encode())


def json_bytes(message: Any) -> int:
    """Return the message's length as posted JSON."""
    return len(msgspec.json.encode(message))


def cut(text: str, most: int, measure: Measure = utf16_units) -> str:
    """Return the text, or as much of its beginning with an ellipsis as measures at most `most`.

    To escape the result, pass the unescaped text and a `measure` of the escaped one. No escape is then cut in two.
    """
    if measure(text) <= most:
        return text
    kept = bisect_right(range(len(text)), most, key=lambda length: measure(text[:length] + ELLIPSIS)) - 1
    return text[: boundary(text, kept)].rstrip() + ELLIPSIS
