r"""The format `discord`: a message for a webhook, with one embed in the colour of the severity.

Limits, by Discord's reference (discord.com/developers/docs, "Message": embed limits): a title 256 characters, a field's
name 256, its value 1,024, 25 fields, 6,000 in all. Embeds show Markdown, in which `\` escapes any punctuation mark.
`allowed_mentions` prevents every mention, whatever the text holds.
"""

from __future__ import annotations

import re
from typing import Any

from backup_webhooks.payloads.card import COLOURS, Card, Fact, fitted, format_of_cards
from backup_webhooks.payloads.lengths import cut, utf16_units

LONGEST_TITLE, LONGEST_NAME, LONGEST_VALUE = 256, 256, 1024
MOST_FIELDS, MOST_CHARACTERS = 25, 6000
# Emphasis, code, spoilers, quotes, headings, links, mentions, emoji, and the marks that begin a list. A colon begins an
# emoji or ends `https`; between figures, as in a time of day, it does neither.
_MARKUP = re.compile(r"[\\*_~`|<>#\[\]()@]|(?<!\d):|:(?!\d\d)|^[-+]|^\d+(?=\.)")


def message(card: Card) -> dict[str, Any]:
    """Return the message, with as many facts as an embed holds."""
    return fitted(card, _message, _fits)


def size(body: dict[str, Any]) -> int:
    """Return the characters that Discord counts in the message's embed."""
    (embed,) = body["embeds"]
    texts = [embed["title"], *(field[part] for field in embed["fields"] for part in ("name", "value"))]
    return sum(map(utf16_units, texts))


def _fits(body: dict[str, Any]) -> bool:
    (embed,) = body["embeds"]
    return len(embed["fields"]) <= MOST_FIELDS and size(body) <= MOST_CHARACTERS


def _message(card: Card) -> dict[str, Any]:
    embed = {
        "title": _escaped(card.title, LONGEST_TITLE),
        "color": int(COLOURS[card.severity].removeprefix("#"), 16),
        "fields": list(map(_field, card.facts)),
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _field(fact: Fact) -> dict[str, Any]:
    label, value = fact
    return {"name": _escaped(label, LONGEST_NAME), "value": _escaped(value, LONGEST_VALUE), "inline": True}


def escape(text: str) -> str:
    """Return Markdown that shows the text as it is."""
    return _MARKUP.sub(_escaped_mark, text)


def _escaped_mark(mark: re.Match[str]) -> str:
    # Markdown cannot escape a figure, so in `1.` the dot is escaped.
    return f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}"


def _escaped(text: str, most: int) -> str:
    return escape(cut(text, most, lambda part: utf16_units(escape(part))))


FORMAT = format_of_cards(message)
