"""The e-mail that comes at once when backups failed or were missed: one for all that are known by then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import BackupFinished, BackupStatus, RecordedEvent
from backup_webhooks.payloads.sanitize import isolated, sanitize
from backup_webhooks.reports import components
from backup_webhooks.reports.email import Email
from backup_webhooks.reports.labels import Tone, counted, exact_words
from backup_webhooks.reports.text import foot

MOST_LISTED = 200
_LONGEST_IN_SUBJECT = 60
_LONGEST_ID = 100
_MOST_IN_PREVIEW = 5
_WHY = "You get this because this address is told at once of what goes wrong. Times are in {zone}."
_MISSED = "missed"
_WORDS = {
    BackupStatus.SUCCESS: ("succeeded", Tone.GOOD),
    BackupStatus.PARTIAL_SUCCESS: ("partly succeeded", Tone.SLOW),
    BackupStatus.FAILED: ("failed", Tone.BAD),
    BackupStatus.CANCELLED: ("was cancelled", Tone.PLAIN),
}


@dataclass(frozen=True, slots=True)
class _Told:
    """A notice in words. `words`: what became of the backup; `facts`: label and value."""

    event: RecordedEvent
    words: str
    tone: Tone
    facts: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, event: RecordedEvent, zone: ZoneInfo) -> _Told:
        if not isinstance(event, BackupFinished):
            return cls(event, _MISSED, Tone.BAD, [("Expected", exact_words(event.expected_date, zone))])
        facts = [
            ("Started", exact_words(event.backup_started_date, zone)),
            ("Finished", exact_words(event.backup_finished_date, zone)),
            ("Restore point", event.restore_point_id),
        ]
        return cls(event, *_WORDS[event.restore_point_creation_status], facts)


def notice_email(
    account: str, events: Sequence[RecordedEvent], zone: ZoneInfo, page_url: str, unsubscribe_url: str
) -> Email:
    """What became of these backups of one account, at least one, in the order of time; at most 200 are listed."""
    told = [_Told.of(event, zone) for event in sorted(events, key=lambda event: event.occurred_at)]
    subject, why = _subject(account, told), _WHY.format(zone=zone)
    return Email(
        subject=subject,
        text="\n".join([*_text(account, told), *foot([why], page_url, unsubscribe_url)]),
        html=components.frame(
            title=subject,
            preview=", ".join(sanitize(one.event.server_id) for one in told[:_MOST_IN_PREVIEW]),
            body="\n".join([components.brand(page_url), *_body(account, told)]),
            foot=components.foot([why], page_url, unsubscribe_url),
        ),
    )


def _subject(account: str, told: Sequence[_Told]) -> str:
    """`Backup failed: SERVER (TEST)`; `3 backups failed, 2 missed (TEST)`."""
    of_account = f"({isolated(account, _LONGEST_IN_SUBJECT)})"
    if len(told) == 1:
        return f"Backup {told[0].words}: {isolated(told[0].event.server_id, _LONGEST_IN_SUBJECT)} {of_account}"
    return f"{_counts(told)} {of_account}"


def _counts(told: Sequence[_Told]) -> str:
    """`3 backups failed, 2 missed`; `Backup failed` of one."""
    (first, count), *others = sorted(Counter(one.words for one in told).items())
    if len(told) == 1:
        return f"Backup {first}"
    return ", ".join(
        [counted(count, f"backup {first}", f"backups {first}"), *(f"{n:,} {words}" for words, n in others)]
    )


def _more(told: Sequence[_Told]) -> str | None:
    return f"And {len(told) - MOST_LISTED:,} more." if len(told) > MOST_LISTED else None


def _text(account: str, told: Sequence[_Told]) -> Iterator[str]:
    yield f"{_counts(told)}, account {isolated(account)}"
    for one in told[:MOST_LISTED]:
        yield ""
        yield f"* {isolated(one.event.server_id)} ({isolated(one.event.account_policy_name)}): {one.words}"
        for label, value in one.facts:
            yield f"  {label + ':':<14} {isolated(value, _LONGEST_ID)}"
    if more := _more(told):
        yield ""
        yield more


def _body(account: str, told: Sequence[_Told]) -> Iterator[str]:
    yield components.title(escape(_counts(told)))
    yield components.remark_html(f"Account {components.name(account)}")
    yield components.table(
        [components.Column("Server and policy", 38), components.Column("What happened", 62)],
        map(_row, told[:MOST_LISTED]),
    )
    if more := _more(told):
        yield components.paragraph(more)


def _row(one: _Told) -> str:
    event = one.event
    facts = "".join(f"<br><small>{label} {components.name(value, _LONGEST_ID)}</small>" for label, value in one.facts)
    return (
        f"<tr>{components.row_heading(event.server_id, event.account_policy_name)}"
        f"<td>{components.toned(one.words.capitalize(), one.tone)}{facts}</td></tr>\n"
    )
