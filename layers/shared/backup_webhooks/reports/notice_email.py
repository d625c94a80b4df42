"""A notice: the e-mail that is sent at once when backups are in trouble, one for all events of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupStale,
    BackupStatus,
    BackupUnfinished,
    RecordedEvent,
)
from backup_webhooks.payloads.sanitize import isolated, sanitize
from backup_webhooks.reports import components
from backup_webhooks.reports.email import Email
from backup_webhooks.reports.labels import Tone, counted, exact_words
from backup_webhooks.reports.text import footer

MOST_LISTED = 200
_LONGEST_IN_SUBJECT = 60
_LONGEST_ID = 100
_MOST_IN_PREVIEW = 5
_REASON = "You get this because this address is told at once of what goes wrong. Times are in {zone}."
_WORDS = {
    BackupStatus.SUCCESS: ("succeeded", Tone.GOOD),
    BackupStatus.PARTIAL_SUCCESS: ("partly succeeded", Tone.SLOW),
    BackupStatus.FAILED: ("failed", Tone.BAD),
    BackupStatus.CANCELLED: ("was cancelled", Tone.PLAIN),
}


@dataclass(frozen=True, slots=True)
class _EventLine:
    """An event as the e-mail lists it. `words`: the backup's result; `facts`: labels and values."""

    event: RecordedEvent
    words: str
    tone: Tone
    facts: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, event: RecordedEvent, zone: ZoneInfo) -> _EventLine:
        match event:
            case BackupMissed():
                return cls(event, "missed", Tone.BAD, [("Expected", exact_words(event.expected_date, zone))])
            case BackupUnfinished():
                return cls(event, "unfinished", Tone.BAD, [("Started", exact_words(event.backup_started_date, zone))])
            case BackupStale():
                return cls(event, "stale", Tone.BAD, [("No success since", exact_words(event.since_date, zone))])
            case BackupFinished():
                facts = [
                    ("Started", exact_words(event.backup_started_date, zone)),
                    ("Finished", exact_words(event.backup_finished_date, zone)),
                    ("Restore point", event.restore_point_id),
                ]
                return cls(event, *_WORDS[event.restore_point_creation_status], facts)


def notice_email(
    account: str, events: Sequence[RecordedEvent], zone: ZoneInfo, page_url: str, unsubscribe_url: str
) -> Email:
    """Return the notice of these events of one account, in the order of time. At most 200 are listed."""
    lines = [_EventLine.of(event, zone) for event in sorted(events, key=lambda event: event.occurred_at)]
    subject, reason = _subject(account, lines), _REASON.format(zone=zone)
    return Email(
        subject=subject,
        text="\n".join([*_text(account, lines), *footer([reason], page_url, unsubscribe_url)]),
        html=components.frame(
            title=subject,
            preview=", ".join(sanitize(line.event.server_id) for line in lines[:_MOST_IN_PREVIEW]),
            body="\n".join([components.brand(page_url), *_body(account, lines)]),
            footer=components.footer([reason], page_url, unsubscribe_url),
        ),
    )


def _subject(account: str, lines: Sequence[_EventLine]) -> str:
    """Return `Backup failed: SERVER (TEST)`, or of several `3 backups failed, 2 missed (TEST)`."""
    suffix = f"({isolated(account, _LONGEST_IN_SUBJECT)})"
    if len(lines) == 1:
        return f"Backup {lines[0].words}: {isolated(lines[0].event.server_id, _LONGEST_IN_SUBJECT)} {suffix}"
    return f"{_counts(lines)} {suffix}"


def _counts(lines: Sequence[_EventLine]) -> str:
    """Return `Backup failed`, or of several `3 backups failed, 2 missed`."""
    (first, count), *others = sorted(Counter(line.words for line in lines).items())
    if len(lines) == 1:
        return f"Backup {first}"
    return ", ".join(
        [counted(count, f"backup {first}", f"backups {first}"), *(f"{n:,} {words}" for words, n in others)]
    )


def _more(lines: Sequence[_EventLine]) -> str | None:
    return f"And {len(lines) - MOST_LISTED:,} more." if len(lines) > MOST_LISTED else None


def _text(account: str, lines: Sequence[_EventLine]) -> Iterator[str]:
    yield f"{_counts(lines)}, account {isolated(account)}"
    for line in lines[:MOST_LISTED]:
        yield ""
        yield f"* {isolated(line.event.server_id)} ({isolated(line.event.account_policy_name)}): {line.words}"
        for label, value in line.facts:
            yield f"  {label + ':':<17} {isolated(value, _LONGEST_ID)}"
    if more := _more(lines):
        yield ""
        yield more


def _body(account: str, lines: Sequence[_EventLine]) -> Iterator[str]:
    yield components.title(escape(_counts(lines)))
    yield components.remark_html(f"Account {components.name(account)}")
    yield components.table(
        [components.Column("Server and policy", 38), components.Column("What happened", 62)],
        map(_row, lines[:MOST_LISTED]),
    )
    if more := _more(lines):
        yield components.paragraph(more)


def _row(line: _EventLine) -> str:
    event = line.event
    facts = "".join(f"<br><small>{label} {components.name(value, _LONGEST_ID)}</small>" for label, value in line.facts)
    return (
        f"<tr>{components.row_heading(event.server_id, event.account_policy_name)}"
        f"<td>{components.toned(line.words.capitalize(), line.tone)}{facts}</td></tr>\n"
    )
