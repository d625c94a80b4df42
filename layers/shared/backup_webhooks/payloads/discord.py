r"""The format `discord`: a message with an embed in the colour of the news, for a webhook.

Limits, by Discord's reference (discord.com/developers/docs, "Message": embed limits): a title 256 characters, a field's
name 256, its value 1,024, 25 fields, 6,000 in all. Embeds show Markdown, in which a `\` takes its meaning from any
punctuation mark; `allowed_mentions` lets nobody be mentioned, whatever stands in the text.
"""

from __future__ import annotations

import re
from typing import Any

from backup_webhooks.payloads.card import COLOURS, Card, Fact, fitted, format_of_cards
from backup_webhooks.payloads.lengths import cut, utf16_units

LONGEST_TITLE, LONGEST_NAME, LONGEST_VALUE = 256, 256, 1024
MOST_FIELDS, MOST_CHARACTERS = 25, 6000
# Emphasis, code, spoilers, quotes, headings, links, mentions, emoji, and what begins a list; a colon also ends `https`,
# but between figures, as of the time of day, it is none of these.
_MARKUP = re.compile(r"[\\*_~`|<>#\[\]()@]|(?<!\d):|:(?!\d\d)|^[-+]|^\d+(?=\.)")


def message(card: Card) -> dict[str, Any]:
    """The message, with as many facts as an embed holds."""
    return fitted(card, _message, _fits)


def size(whole: dict[str, Any]) -> int:
    """What Discord counts of the message's embed."""
    (embed,) = whole["embeds"]
    texts = [embed["title"], *(field[part] for field in embed["fields"] for part in ("name", "value"))]
    return sum(map(utf16_units, texts))


def _fits(whole: dict[str, Any]) -> bool:
    (embed,) = whole["embeds"]
    return len(embed["fields"]) <= MOST_FIELDS and size(whole) <= MOST_CHARACTERS


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
    """The text as Markdown that shows it as it is."""
    return _MARKUP.sub(_without_meaning, text)


def _without_meaning(mark: re.Match[str]) -> str:
    # A letter or figure can't be escaped: of `1.` it is the dot.
    return f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}"


def _escaped(text: str, most: int) -> str:
    return escape(cut(text, most, lambda part: utf16_units(escape(part))))


FORMAT = format_of_cards(message)
