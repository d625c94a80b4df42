"""JSON as far as the standard library can read it: msgspec refuses a whole text for one number or character."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

# Longer whole numbers are read as floating-point numbers, infinity at last: no sender means every digit of them.
_MOST_DIGITS = 18


def lenient_json(text: str) -> Any:
    """Return the value, or None if the text is no JSON. Some of its parts may not be usable (`is_usable`)."""
    try:
        return json.loads(text, strict=False, parse_int=_number)
    except (ValueError, RecursionError):
        return None


def is_usable(value: Any) -> bool:
    """Return whether the value can be encoded as JSON: no infinite number, no half of a surrogate pair."""
    if isinstance(value, float):
        return math.isfinite(value)
    try:
        msgspec.json.encode(value)
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
