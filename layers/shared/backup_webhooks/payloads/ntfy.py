"""The format `ntfy`: a push message, published as JSON to the root of an ntfy server.

Limits, by ntfy's documentation (docs.ntfy.sh): a message has less than 4,096 bytes (`config`: `message-size-limit`). A
server that stores files turns a longer one into a file. It reads at most 8,192 bytes of JSON, with all escapes. A title
has no documented limit; 200 characters are more than a phone shows. Messages are plain text unless they ask for
Markdown. The topic serves as a password (ntfy's advice) and stands in the body. ntfy would show JSON that is posted to
the topic's own URL as text ("Publish as JSON").
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
# Each attempt puts the topic in.
_LONGEST_TOPIC = 64
_TOPIC = DestinationKey(
    field="topic",
    name="topic",
    pattern=f"[-_A-Za-z0-9]{{1,{_LONGEST_TOPIC}}}",
    allowed=f"1 to {_LONGEST_TOPIC} letters, digits, - and _",
)
# The priority, from 1 to 5, and the tag that ntfy shows as an emoji.
_URGENCY: Mapping[Severity, tuple[int, str]] = {
    Severity.BAD: (4, "rotating_light"),
    Severity.WARNING: (3, "warning"),
    Severity.GOOD: (2, "white_check_mark"),
}


def message(card: Card) -> dict[str, Any]:
    """Return the message: a line for each fact, cut to ntfy's limits."""
    priority, tag = _URGENCY[card.severity]
    head = {"title": cut(card.heading, LONGEST_TITLE), "priority": priority, "tags": [tag]}
    lines = "\n".join(f"{label}: {isolated(value, _LONGEST_VALUE)}" for label, value in card.facts)
    room = MOST_BYTES - json_bytes(head) - json_bytes({"topic": "x" * _LONGEST_TOPIC, "message": ""})
    return head | {"message": cut(cut(lines, MOST_MESSAGE_BYTES, utf8_bytes), room, json_bytes)}


def _url_problem(url: str) -> str | None:
    if urlsplit(url).path in ("", "/"):
        return None
    return "with the format ntfy the server's address alone, such as https://ntfy.sh/; its topic is the destinationKey"


FORMAT = format_of_cards(message, key=_TOPIC, url_problem=_url_problem)
