"""The format `slack`: a Block Kit message for an incoming webhook, with a bar in the colour of the severity.

Limits, by Slack's reference (docs.slack.dev/reference/block-kit): a header 150 characters, a text object 3,000, a
section's fields ten of 2,000 each, 50 blocks a message. Names are `plain_text`, in which Slack reads no mentions,
links, markup or `:emoji:`. Every text has `&`, `<` and `>` escaped, as "Formatting text for app surfaces" requires.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import batched
from typing import Any

from backup_webhooks.payloads.card import COLOURS, Card, Fact, fitted, format_of_cards
from backup_webhooks.payloads.lengths import cut, utf16_units

LONGEST_HEADER, LONGEST_TEXT, LONGEST_FIELD = 150, 3000, 2000
# A fact takes two fields, its label and its value. The header takes one block beside the sections.
FACTS_A_SECTION, MOST_SECTIONS = 5, 49


def message(card: Card) -> dict[str, Any]:
    """Return the message, with as many facts as 50 blocks hold."""
    return fitted(card, _message, lambda body: len(body["attachments"][0]["blocks"]) <= MOST_SECTIONS)


def _message(card: Card) -> dict[str, Any]:
    return {
        # Shown by notifications and screen readers, which cannot show blocks.
        "text": _escaped(card.summary, LONGEST_TEXT),
        "mrkdwn": False,
        "blocks": [{"type": "header", "text": _plain(card.heading, LONGEST_HEADER)}],
        "attachments": [{"color": COLOURS[card.severity], "blocks": list(_sections(card))}],
    }


def _sections(card: Card) -> Iterator[dict[str, Any]]:
    for facts in batched(card.facts, FACTS_A_SECTION, strict=False):
        yield {"type": "section", "fields": [field for fact in facts for field in _fields(fact)]}


def _fields(fact: Fact) -> tuple[dict[str, Any], dict[str, Any]]:
    label, value = fact
    return {"type": "mrkdwn", "text": f"*{label}*"}, _plain(value, LONGEST_FIELD)


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _escaped(text, most), "emoji": False}


def _escaped(text: str, most: int) -> str:
    kept = cut(text, most, lambda part: utf16_units(escape(part, quote=False)))
    return escape(kept, quote=False)


FORMAT = format_of_cards(message)
