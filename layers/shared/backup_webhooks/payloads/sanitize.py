"""Names from outside, made harmless for a reader: without characters that are invisible, break or reorder lines."""

from __future__ import annotations

import re
import unicodedata

MOST = 80
_REPLACEMENT = "\ufffd"
_ELLIPSIS = "…"
# Bidirectional classes of right-to-left scripts, which would change the order of the words around the name.
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LONGEST_SEQUENCE = 16

# Unicode's controls, formats, surrogates, line and paragraph separators, and noncharacters; and the letters and marks
# that show nothing. They are written out because a test of all 1,114,112 code points takes 0.2 s.
_HARMFUL = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f\xad"
    "\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    + "".join(chr(plane * 0x10000 + last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]+"
)


def sanitize(name: str, most: int = MOST) -> str:
    """Return the name with U+FFFD for what would deceive a reader, cut to `most` characters with an ellipsis."""
    if len(name) <= most and name.isascii() and name.isprintable():
        return name
    harmless = _HARMFUL.sub(_REPLACEMENT, name)
    if len(harmless) <= most:
        return harmless
    return harmless[: boundary(harmless, most - len(_ELLIPSIS))].rstrip() + _ELLIPSIS


def isolated(name: str, most: int = MOST) -> str:
    """Return the sanitized name for a line of plain text, isolated so that it cannot change the line's order.

    Only names with right-to-left characters get the invisible marks: a person who copies the name copies them too.
    """
    sanitized = sanitize(name, most)
    if sanitized.isascii() or not any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in sanitized
    ):
        return sanitized
    return f"\u2068{sanitized}\u2069"


def boundary(name: str, position: int) -> int:
    """Return where to cut: the last place up to `position` that does not part a character from its accents."""
    for place in range(position, max(position - _LONGEST_SEQUENCE, 0), -1):
        if not _continues(name[place]):
            return place
    return position


def _continues(character: str) -> bool:
    # Accents and variation selectors; the colours of emoji.
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= character <= "\U0001f3ff"
