"""Cards of any size, to test the limits of formats."""

from __future__ import annotations

from collections.abc import Sequence

from backup_webhooks.payloads.card import Card, Fact, Severity


def card(
    *,
    title: str = "Backup failed",
    subject: str = "SERVER",
    facts: Sequence[Fact] = (("Server", "SERVER"),),
    summary: str = "A backup failed.",
) -> Card:
    return Card(title, Severity.BAD, subject, facts, summary)


def card_of_many(count: int, value: str = "SERVER") -> Card:
    """Return a card with `count` facts of one value."""
    return card(facts=[("Server", value)] * count)
