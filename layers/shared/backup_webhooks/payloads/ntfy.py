"""The format `ntfy`: a push message, published as JSON to the root of an ntfy server.

Limits, by ntfy's documentation (docs.ntfy.sh): a message 4,096 bytes (`config`: `message-size-limit`); one that is as
long or longer becomes a file, where the server keeps any. The server reads twice as much of JSON, escapes and all. A
title has no documented bound; 200 characters are more than a phone shows. Messages are plain text unless they ask for
Markdown. The topic is as good as a password, says ntfy, and stands in the body; a JSON document that is posted to the
topic's own URL would be shown as it is ("Publish as JSON").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backup_webhooks.payloads import DestinationKey
from backup_webhooks.payloads.card import Card, Severity, format_of_cards
from backup_webhooks.payloads.lengths import cut, json_bytes, utf8_bytes
from backup_webhooks.payloads.sanitize import isolated

LONGEST_TITLE, MOST_MESSAGE_BYTES, MOST_BYTES = 200, 4095, 8192
_LONGEST_VALUE = 500
# Of the topic, which is put in later.
_LONGEST_TOPIC = 64
_TOPIC = DestinationKey(
    field="topic",
    called="topic",
    pattern=f"[-_A-Za-z0-9]{{1,{_LONGEST_TOPIC}}}",
    allowed=f"1 to {_LONGEST_TOPIC} letters, digits, - and _",
)
# Priority, from 1 to 5, and the tag that becomes an emoji.
_URGENCY: Mapping[Severity, tuple[int, str]] = {
    Severity.BAD: (4, "rotating_light"),
    Severity.WARNING: (3, "warning"),
    Severity.GOOD: (2, "white_check_mark"),
}


def message(card: Card) -> dict[str, Any]:
    """The message: a line for each fact, as far as they go."""
    priority, tag = _URGENCY[card.severity]
    head = {"title": cut(card.heading, LONGEST_TITLE), "priority": priority, "tags": [tag]}
    lines = "\n".join(f"{label}: {isolated(value, _LONGEST_VALUE)}" for label, value in card.facts)
    room = MOST_BYTES - json_bytes(head) - json_bytes({"topic": "x" * _LONGEST_TOPIC, "message": ""})
    return head | {"message": cut(cut(lines, MOST_MESSAGE_BYTES, utf8_bytes), room, json_bytes)}


def _url_trouble(url: str) -> str | None:
    if urlsplit(url).path in ("", "/"):
        return None
    return "with the format ntfy the server's address alone, such as https://ntfy.sh/; its topic is the destinationKey"


FORMAT = format_of_cards(message, key=_TOPIC, url_trouble=_url_trouble)
