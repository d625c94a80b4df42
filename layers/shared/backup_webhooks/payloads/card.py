"""A notice as people are shown it in a chat: one value for all of these formats, which say it in their own ways.

Names from outside are made harmless for a reader here (`sanitize`); what is markup to a destination is its module's to
escape. What has more to tell than a single backup is another card with more facts, and no format need know of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.events.messages import BackupFinished, BackupMissed, BackupRecovered, Event, EventType
from backup_webhooks.payloads import Format
from backup_webhooks.payloads.sanitize import isolated, sanitize
from backup_webhooks.payloads.text import finished_date, how_many, in_short, text

# The longest that messages take (`messages.Name`): nothing is cut here.
_LONGEST = 500
# That one name leaves room for the others.
_IN_A_LIST = 100
_NOTHING_TO_SEE = "\ufffd"


class Severity(StrEnum):
    """How bad the news is, which each destination has a colour or a word of its own for."""

    BAD = "bad"
    WARNING = "warning"
    GOOD = "good"


# The page's, which are told apart from white and from black.
COLOURS: Mapping[Severity, str] = {Severity.BAD: "#c9372c", Severity.WARNING: "#d08a12", Severity.GOOD: "#2f9e62"}

_NEWS: Mapping[EventType | None, tuple[str, Severity]] = {
    EventType.FAILURE: ("Backup failed", Severity.BAD),
    EventType.PARTIAL_SUCCESS: ("Backup partly succeeded", Severity.WARNING),
    EventType.MISSING: ("Backup missed", Severity.BAD),
    EventType.SUCCESS: ("Backup succeeded", Severity.GOOD),
    EventType.RECOVERED: ("Backups recovered", Severity.GOOD),
}

type Fact = tuple[str, str]
"""A label, in our own words, and a value."""


class Card(Struct, frozen=True):
    """What is shown. `title`: our own words alone; `subject`: whom it is about; `summary`: all of it as one sentence.

    No text is blank: destinations refuse a field that is.
    """

    title: str
    severity: Severity
    subject: str
    facts: Sequence[Fact]
    summary: str

    @property
    def heading(self) -> str:
        """`Backup failed: SERVER`."""
        return f"{self.title}: {isolated(self.subject, _LONGEST)}"

    def first(self, count: int) -> Card:
        """The card with so many of its facts, and a last one that says how many there are besides."""
        return replace(self, facts=[*self.facts[:count], ("Not shown", f"{len(self.facts) - count:,} more")])


def card_of(event: Event) -> Card:
    """The notice of one backup."""
    title, severity = _NEWS[event.event_type]
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
                ("Started", finished_date(event.backup_started_date)),
                ("Finished", finished_date(event.backup_finished_date)),
            ]
        case BackupRecovered():
            facts += [
                ("Restore point", event.restore_point_id),
                ("Finished", finished_date(event.backup_finished_date)),
                ("After", how_many(event)),
                ("Failing since", finished_date(event.failing_since_date)),
            ]
        case BackupMissed():
            facts += [("Server policy", event.server_policy_id), ("Expected", finished_date(event.expected_date))]
    return Card(
        title=title,
        severity=severity,
        subject=_shown(event.server_id),
        facts=[(label, _shown(value)) for label, value in facts],
        summary=text(_isolated(event)),
    )


def card_of_all(events: Sequence[Event]) -> Card:
    """Several notices of one event and account: a fact each, in their order."""
    _, severity = _NEWS[events[0].event_type]
    title, subject = in_short(events)
    servers = ", ".join(isolated(_shown(event.server_id), _LONGEST) for event in events)
    return Card(
        title=title,
        severity=severity,
        subject=_shown(subject),
        facts=[
            (
                finished_date(event.occurred_at),
                f"{_shown(event.server_id, _IN_A_LIST)}, {_shown(event.account_policy_name, _IN_A_LIST)}",
            )
            for event in events
        ],
        summary=f"{title}: {isolated(_shown(subject), _LONGEST)}: {servers}",
    )


def format_of_cards(message: Callable[[Card], Mapping[str, Any]], **more: Any) -> Format:
    """The format of a destination that shows cards, which `message` makes its own."""
    return Format(lambda event: message(card_of(event)), grouped=lambda events: message(card_of_all(events)), **more)


def fitted[M](card: Card, message_of: Callable[[Card], M], fits: Callable[[M], bool]) -> M:
    """The message of the card, with as many of its facts as fit."""
    message = message_of(card)
    if fits(message):
        return message
    too_many = bisect_left(range(len(card.facts)), True, key=lambda count: not fits(message_of(card.first(count))))
    return message_of(card.first(max(too_many - 1, 0)))


def _shown(name: str, most: int = _LONGEST) -> str:
    shown = sanitize(name, most)
    return shown if shown.strip() else _NOTHING_TO_SEE


def _isolated(event: Event) -> Event:
    """The notice with its names as they can stand in a line of text."""
    names: dict[str, Any] = {
        name: isolated(value, _LONGEST) for name, value in msgspec.structs.asdict(event).items() if type(value) is str
    }
    return msgspec.structs.replace(event, **names)
