"""An event as a chat shows it: one `Card`, which each chat's format lays out in its own way.

This module sanitizes names from outside (`sanitize`). Each format escapes its own destination's markup. A group of
events is a card too, with more facts, so that no format treats groups separately.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupUnfinished,
    Event,
    EventType,
)
from backup_webhooks.payloads import Format
from backup_webhooks.payloads.facts import Facts
from backup_webhooks.payloads.sanitize import isolated, sanitize
from backup_webhooks.payloads.text import group_headline, text, trouble_words, utc_text

# The length limit of names in messages (`messages.Name`), so that no name is cut.
_LONGEST = 500
# In a group, so that one name leaves room for the others.
_LONGEST_IN_GROUP = 100
_REPLACEMENT_FOR_BLANK = "\ufffd"


class Severity(StrEnum):
    """How bad the event is. Each destination has its own colour or word for it."""

    BAD = "bad"
    WARNING = "warning"
    GOOD = "good"


# The page's colours, which stand out on white and on black.
COLOURS: Mapping[Severity, str] = {Severity.BAD: "#c9372c", Severity.WARNING: "#d08a12", Severity.GOOD: "#2f9e62"}

_TITLES_AND_SEVERITIES: Mapping[EventType | None, tuple[str, Severity]] = {
    EventType.FAILURE: ("Backup failed", Severity.BAD),
    EventType.PARTIAL_SUCCESS: ("Backup partly succeeded", Severity.WARNING),
    EventType.MISSING: ("Backup missed", Severity.BAD),
    EventType.SUCCESS: ("Backup succeeded", Severity.GOOD),
    EventType.RECOVERED: ("Backups recovered", Severity.GOOD),
    EventType.UNFINISHED: ("Backup unfinished", Severity.BAD),
    EventType.STALE: ("Last success too old", Severity.BAD),
}

type Fact = tuple[str, str]
"""A label of this project's own, and a value."""


class Card(Struct, frozen=True):
    """The texts of one event or group. No text is blank, because destinations refuse blank fields.

    `title`: this project's own words, without any name from outside. `subject`: the server or account. `summary`: the
    whole card as one sentence.
    """

    title: str
    severity: Severity
    subject: str
    facts: Sequence[Fact]
    summary: str

    @property
    def heading(self) -> str:
        """Return title and subject, such as `Backup failed: SERVER`."""
        return f"{self.title}: {isolated(self.subject, _LONGEST)}"

    def first(self, count: int) -> Card:
        """Return the card with its first `count` facts, and one more that counts the facts left out."""
        return replace(self, facts=[*self.facts[:count], ("Not shown", f"{len(self.facts) - count:,} more")])


def card_of(event: Event) -> Card:
    """Return the card of one event."""
    title, severity = _TITLES_AND_SEVERITIES[event.event_type]
    facts = [
        ("Account", event.account_alias),
        ("Server", event.server_id),
        ("Account policy", event.account_policy_name),
        ("Storage region", event.storage_region),
    ]
    match event:
        case BackupFinished():
            facts += [
                ("Restore point", event.restore_point_id),
                ("Started", utc_text(event.backup_started_date)),
                ("Finished", utc_text(event.backup_finished_date)),
            ]
        case BackupRecovered():
            facts += [
                ("Restore point", event.restore_point_id),
                ("Finished", utc_text(event.backup_finished_date)),
                ("After", trouble_words(event)),
                ("Failing since", utc_text(event.failing_since_date)),
            ]
        case BackupMissed():
            facts += [("Server policy", event.server_policy_id), ("Expected", utc_text(event.expected_date))]
        case BackupUnfinished():
            facts += [("Server policy", event.server_policy_id), ("Started", utc_text(event.backup_started_date))]
        case BackupStale():
            facts += [("Server policy", event.server_policy_id), ("No success since", utc_text(event.since_date))]
    facts += Facts.of(event).words()
    return Card(
        title=title,
        severity=severity,
        subject=_sanitized(event.server_id),
        facts=[(label, _sanitized(value)) for label, value in facts],
        summary=text(_with_isolated_names(event)),
    )


def card_of_all(events: Sequence[Event]) -> Card:
    """Return one card for several events of one type and account, with one fact for each event, in their order."""
    _, severity = _TITLES_AND_SEVERITIES[events[0].event_type]
    title, subject = group_headline(events)
    servers = ", ".join(isolated(_sanitized(event.server_id), _LONGEST) for event in events)
    return Card(
        title=title,
        severity=severity,
        subject=_sanitized(subject),
        facts=[
            (
                utc_text(event.occurred_at),
                ", ".join(_sanitized(name, _LONGEST_IN_GROUP) for name in (event.server_id, event.account_policy_name)),
            )
            for event in events
        ],
        summary=f"{title}: {isolated(_sanitized(subject), _LONGEST)}: {servers}",
    )


def format_of_cards(message: Callable[[Card], Mapping[str, Any]], **options: Any) -> Format:
    """Return the format of a destination for which `message` lays out cards. `options`: further fields of `Format`."""
    return Format(lambda event: message(card_of(event)), grouped=lambda events: message(card_of_all(events)), **options)


def fitted[M](card: Card, message_of: Callable[[Card], M], fits: Callable[[M], bool]) -> M:
    """Return the message of the card with as many of its first facts as fit."""
    complete = message_of(card)
    if fits(complete):
        return complete
    too_many = bisect_left(range(len(card.facts)), True, key=lambda count: not fits(message_of(card.first(count))))
    return message_of(card.first(max(too_many - 1, 0)))


def _sanitized(name: str, most: int = _LONGEST) -> str:
    sanitized = sanitize(name, most)
    return sanitized if sanitized.strip() else _REPLACEMENT_FOR_BLANK


def _with_isolated_names(event: Event) -> Event:
    """Return the event with its names isolated for a line of plain text."""
    names: dict[str, Any] = {
        name: isolated(value, _LONGEST) for name, value in asdict(event).items() if type(value) is str
    }
    return replace(event, **names)
