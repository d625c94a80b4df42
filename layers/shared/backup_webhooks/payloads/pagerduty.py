"""The format `pagerduty`: an event of the Events API v2, which opens an incident, or closes it after a success.

Limits, by PagerDuty's reference (developer.pagerduty.com/docs, "Send an Alert Event" and "Events API v2 Overview"):
`summary` 1,024 characters, `dedup_key` 255, an event 512 KB. PagerDuty shows texts as they are. The integration's
routing key is a secret and stands in the body. A resolving event needs only that key and the `dedup_key`.
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
    name="routing key",
    pattern="[0-9A-Za-z]{32}",
    allowed="32 letters and digits (PagerDuty calls it integration key too)",
)
_SEVERITIES: Mapping[Severity, str] = {Severity.BAD: "error", Severity.WARNING: "warning"}


def payload(event: Event) -> dict[str, Any]:
    """Return the event of one backup. A server policy has one incident, whatever fails and however often."""
    dedup_key = _dedup_key(event.account_alias, event.server_policy_id)
    card = card_of(event)
    if card.severity is Severity.GOOD:
        return {"event_action": "resolve", "dedup_key": dedup_key}
    details = {"timestamp": iso_milliseconds(event.occurred_at), "class": str(event.event_type)}
    return {"event_action": "trigger", "dedup_key": dedup_key, "payload": triggered(card) | details}


def triggered(card: Card) -> dict[str, Any]:
    """Return the `payload` of an event that opens an incident, with as many facts as its size allows."""
    return fitted(card, _triggered, lambda body: json_bytes(body) <= MOST_BYTES)


def _triggered(card: Card) -> dict[str, Any]:
    return {
        "summary": cut(card.heading, LONGEST_SUMMARY),
        "source": card.subject,
        "severity": _SEVERITIES[card.severity],
        "custom_details": _details(card.facts),
    }


def _details(facts: Sequence[Fact]) -> dict[str, str]:
    """Return the facts as an object. A repeated label gets its fact's number, because keys are unique."""
    details: dict[str, str] = {}
    for position, (label, value) in enumerate(facts, 1):
        details[f"{label} ({position})" if label in details else label] = value
    return details


def _dedup_key(account: str, server_policy_id: str) -> str:
    key = f"{account}#{server_policy_id}"
    # The longest names exceed the limit, and a cut key could belong to another server policy.
    return key if utf16_units(key) <= LONGEST_DEDUP_KEY else hashlib.sha256(key.encode()).hexdigest()


FORMAT = Format(payload, key=_ROUTING_KEY, closes_incidents=True)
