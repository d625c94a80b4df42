"""The format `google-chat`: a card, version 2, for a webhook of a space.

Limits, by Google's reference (developers.google.com/workspace/chat): 32,000 bytes a message with its cards
(`spaces.messages.create`), 100 widgets a card (`Card`). A card's texts may have a few HTML tags ("Format text in
cards"), so names are escaped. Mentions work only in a message's own `text`, which this message does not have.
"""

from __future__ import annotations

from html import escape
from typing import Any

from backup_webhooks.payloads.card import COLOURS, Card, Fact, fitted, format_of_cards
from backup_webhooks.payloads.lengths import json_bytes

MOST_BYTES, MOST_WIDGETS = 32_000, 100


def message(card: Card) -> dict[str, Any]:
    """Return the message, with as many facts as a card holds."""
    return fitted(card, _message, _fits)


def _fits(body: dict[str, Any]) -> bool:
    (section,) = body["cardsV2"][0]["card"]["sections"]
    return len(section["widgets"]) <= MOST_WIDGETS and json_bytes(body) <= MOST_BYTES


def _message(card: Card) -> dict[str, Any]:
    title, subject = escape(card.title, quote=False), escape(card.subject, quote=False)
    head = f'<font color="{COLOURS[card.severity]}"><b>{title}</b></font>: {subject}'
    widgets = [{"textParagraph": {"text": head}}, *map(_widget, card.facts)]
    return {
        # The notification's text. It holds no name, because it is not documented how markup appears there.
        "fallbackText": card.title,
        "cardsV2": [{"cardId": "backup", "card": {"sections": [{"widgets": widgets}]}}],
    }


def _widget(fact: Fact) -> dict[str, Any]:
    label, value = fact
    return {"decoratedText": {"topLabel": label, "text": escape(value, quote=False), "wrapText": True}}


FORMAT = format_of_cards(message)
