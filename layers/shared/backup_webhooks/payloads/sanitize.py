"""Names from outside, made harmless for a reader: nothing that is invisible, turns lines round or breaks them."""

from __future__ import annotations

import re
import unicodedata

MOST = 80
_REPLACEMENT = "\ufffd"
_ELLIPSIS = "…"
# Of the scripts that are read from right to left: what would change the order of the words around it.
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LONGEST_SEQUENCE = 16

# Unicode's controls, formats, surrogates and separators of lines and paragraphs; the characters that are letters or
# marks by their category, and show nothing; noncharacters. Written out, as a look at each of 1,114,112 takes 0.2 s.
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
    """The name, what would deceive its reader replaced by U+FFFD, and cut to `most` characters with an ellipsis."""
    if len(name) <= most and name.isascii() and name.isprintable():
        return name
    harmless = _HARMFUL.sub(_REPLACEMENT, name)
    if len(harmless) <= most:
        return harmless
    return harmless[: boundary(harmless, most - len(_ELLIPSIS))].rstrip() + _ELLIPSIS


def isolated(name: str, most: int = MOST) -> str:
    """The legible name for a line of plain text: one that is read from right to left leaves the line's order alone.

    Other names are not wrapped: who copies them from the text would copy the invisible marks with them.
    """
    shown = sanitize(name, most)
    if shown.isascii() or not any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        return shown
    return f"\u2068{shown}\u2069"


def boundary(name: str, position: int) -> int:
    """Where to cut: the last place up to `position` at which no character is torn from its accents."""
    for place in range(position, max(position - _LONGEST_SEQUENCE, 0), -1):
        if not _continues(name[place]):
            return place
    return position


def _continues(character: str) -> bool:
    # Accents and variation selectors; the colours of emoji.
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= character <= "\U0001f3ff"
