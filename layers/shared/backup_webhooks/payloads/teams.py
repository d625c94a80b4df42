"""The format `teams`: an Adaptive Card in a message, for the webhooks of Power Automate's Workflows.

Limits: about 28 KB a message (learn.microsoft.com, "Limits and specifications for Microsoft Teams"; the page on
incoming webhooks says the same). Neither page says whether that is UTF-8 or UTF-16, and both have been seen, so both
stay below. All text is in RichTextBlocks (since version 1.2), whose runs have no Markdown (adaptivecards.io,
"TextRun"), so Teams shows names as they are. Mentions need a list of entities, which this message does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from backup_webhooks.payloads.card import Card, Fact, Severity, fitted, format_of_cards

MOST_BYTES = 28_000
# Teams replaces `{{DATE(…)}}` by a date, unless the braces stand in two runs.
_WITHIN_BRACES = re.compile(r"(?<=\{)(?=\{)")
_STYLES: Mapping[Severity, str] = {
    Severity.BAD: "attention",
    Severity.WARNING: "warning",
    Severity.GOOD: "good",
}


def message(card: Card) -> dict[str, Any]:
    """Return the message, with as many facts as 28 KB hold."""
    return fitted(card, _message, lambda body: size(body) <= MOST_BYTES)


def size(body: Mapping[str, Any]) -> int:
    """Return the message's bytes in UTF-8 or in UTF-16, whichever are more."""
    encoded = msgspec.json.encode(body)
    return max(len(encoded), len(encoded.decode().encode("utf-16-le")))


def _message(card: Card) -> dict[str, Any]:
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.2",
                    "msteams": {"width": "Full"},
                    "body": [_head(card), *map(_fact, card.facts)],
                },
            }
        ],
    }


def _head(card: Card) -> dict[str, Any]:
    title = {"type": "TextRun", "text": card.title, "weight": "Bolder", "size": "Large"}
    return {
        "type": "Container",
        "style": _STYLES[card.severity],
        "bleed": True,
        "items": [_text(title), _text(*_runs(card.subject))],
    }


def _fact(fact: Fact) -> dict[str, Any]:
    label, value = fact
    return _text({"type": "TextRun", "text": f"{label}: ", "weight": "Bolder"}, *_runs(value))


def _runs(name: str) -> list[dict[str, Any]]:
    return [{"type": "TextRun", "text": part} for part in _WITHIN_BRACES.split(name)]


def _text(*runs: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


FORMAT = format_of_cards(message)
