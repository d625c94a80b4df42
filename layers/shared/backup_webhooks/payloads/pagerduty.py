"""The format `pagerduty`: an event of the Events API v2, which opens an incident and is closed by the next success.

Limits, by PagerDuty's reference (developer.pagerduty.com/docs, "Send an Alert Event" and "Events API v2 Overview"):
`summary` 1,024 characters, `dedup_key` 255, an event 512 KB. Texts are shown as they are. The integration's routing key
is a secret, and stands in the body; a resolving event needs nothing but that and the `dedup_key`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from backup_webhooks.events.messages import Event
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import DestinationKey, Format
from backup_webhooks.payloads.card import Card, Fact, Severity, card_of, fitted
from backup_webhooks.payloads.lengths import cut, json_bytes, utf16_units

LONGEST_SUMMARY, LONGEST_DEDUP_KEY, MOST_BYTES = 1024, 255, 512_000
_ROUTING_KEY = DestinationKey(
    field="routing_key",
    called="routing key",
    pattern="[0-9A-Za-z]{32}",
    allowed="32 letters and digits (PagerDuty calls it integration key too)",
)
_SEVERITIES: Mapping[Severity, str] = {Severity.BAD: "error", Severity.WARNING: "warning"}


def payload(event: Event) -> dict[str, Any]:
    """The event of one backup: a server policy has one incident, whatever went wrong and however often."""
    dedup_key = _dedup_key(event.account_alias, event.server_policy_id)
    card = card_of(event)
    if card.severity is Severity.GOOD:
        return {"event_action": "resolve", "dedup_key": dedup_key}
    more = {"timestamp": iso_milliseconds(event.occurred_at), "class": str(event.event_type)}
    return {"event_action": "trigger", "dedup_key": dedup_key, "payload": triggered(card) | more}


def triggered(card: Card) -> dict[str, Any]:
    """The `payload` of an event that opens an incident, with as many facts as its size allows."""
    return fitted(card, _triggered, lambda whole: json_bytes(whole) <= MOST_BYTES)


def _triggered(card: Card) -> dict[str, Any]:
    return {
        "summary": cut(card.heading, LONGEST_SUMMARY),
        "source": card.subject,
        "severity": _SEVERITIES[card.severity],
        "custom_details": _details(card.facts),
    }


def _details(facts: Sequence[Fact]) -> dict[str, str]:
    """The facts as an object, in which a label stands once: the others have their number."""
    details: dict[str, str] = {}
    for position, (label, value) in enumerate(facts, 1):
        details[f"{label} ({position})" if label in details else label] = value
    return details


def _dedup_key(account: str, server_policy_id: str) -> str:
    key = f"{account}#{server_policy_id}"
    # The longest names together are longer; a key that is cut could be another server policy's.
    return key if utf16_units(key) <= LONGEST_DEDUP_KEY else hashlib.sha256(key.encode()).hexdigest()


FORMAT = Format(payload, key=_ROUTING_KEY, closes_incidents=True)
