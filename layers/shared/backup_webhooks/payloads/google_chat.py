"""The format `google-chat`: a card, version 2, for a webhook of a space.

Limits, by Google's reference (developers.google.com/workspace/chat): 32,000 bytes a message with its cards
(`spaces.messages.create`), 100 widgets a card (`Card`). A card's texts are shown with a few tags of HTML
("Format text in cards"), which names have escaped; mentions are of a message's own `text`, which there is none of.
"""

from __future__ import annotations

from typing import Any

from backup_webhooks.payloads.card import COLOURS, Card, Fact, fitted, format_of_cards
from backup_webhooks.payloads.lengths import json_bytes
from backup_webhooks.payloads.markup import escape_tags

MOST_BYTES, MOST_WIDGETS = 32_000, 100


def message(card: Card) -> dict[str, Any]:
    """The message, with as many facts as a card holds."""
    return fitted(card, _message, _fits)


def _fits(whole: dict[str, Any]) -> bool:
    (section,) = whole["cardsV2"][0]["card"]["sections"]
    return len(section["widgets"]) <= MOST_WIDGETS and json_bytes(whole) <= MOST_BYTES


def _message(card: Card) -> dict[str, Any]:
    head = (
        f'<font color="{COLOURS[card.severity]}"><b>{escape_tags(card.title)}</b></font>: {escape_tags(card.subject)}'
    )
    widgets = [{"textParagraph": {"text": head}}, *map(_widget, card.facts)]
    return {
        # In a notification. Our own words alone: what is shown of markup there is not documented.
        "fallbackText": card.title,
        "cardsV2": [{"cardId": "backup", "card": {"sections": [{"widgets": widgets}]}}],
    }


def _widget(fact: Fact) -> dict[str, Any]:
    label, value = fact
    return {"decoratedText": {"topLabel": label, "text": escape_tags(value), "wrapText": True}}


FORMAT = format_of_cards(message)
