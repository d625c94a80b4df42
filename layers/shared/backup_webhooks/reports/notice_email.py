"""The e-mail that comes at once when backups failed or were missed: one for all that are known by then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import BackupFinished, BackupNotice, BackupStatus
from backup_webhooks.payloads.sanitize import isolated, legible
from backup_webhooks.reports import components as look
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

    notice: BackupNotice
    words: str
    tone: Tone
    facts: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, notice: BackupNotice, zone: ZoneInfo) -> _Told:
        if not isinstance(notice, BackupFinished):
            return cls(notice, _MISSED, Tone.BAD, [("Expected", exact_words(notice.expected_date, zone))])
        facts = [
            ("Started", exact_words(notice.backup_started_date, zone)),
            ("Finished", exact_words(notice.backup_finished_date, zone)),
            ("Restore point", notice.restore_point_id),
        ]
        return cls(notice, *_WORDS[notice.restore_point_creation_status], facts)


def notice_email(
    account: str, notices: Sequence[BackupNotice], zone: ZoneInfo, page_url: str, unsubscribe_url: str
) -> Email:
    """What became of these backups of one account, at least one, in the order of time; at most 200 are listed."""
    told = [_Told.of(notice, zone) for notice in sorted(notices, key=lambda notice: notice.occurred_at)]
    subject, why = _subject(account, told), _WHY.format(zone=zone)
    return Email(
        subject=subject,
        text="\n".join([*_text(account, told), *foot([why], page_url, unsubscribe_url)]),
        html=look.frame(
            title=subject,
            preview=", ".join(legible(one.notice.server_id) for one in told[:_MOST_IN_PREVIEW]),
            body="\n".join([look.brand(page_url), *_body(account, told)]),
            foot=look.foot([why], page_url, unsubscribe_url),
        ),
    )


def _subject(account: str, told: Sequence[_Told]) -> str:
    """`Backup failed: SERVER (TEST)`; `3 backups failed, 2 missed (TEST)`."""
    of_account = f"({isolated(account, _LONGEST_IN_SUBJECT)})"
    if len(told) == 1:
        return f"Backup {told[0].words}: {isolated(told[0].notice.server_id, _LONGEST_IN_SUBJECT)} {of_account}"
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
        yield f"* {isolated(one.notice.server_id)} ({isolated(one.notice.account_policy_name)}): {one.words}"
        for label, value in one.facts:
            yield f"  {label + ':':<14} {isolated(value, _LONGEST_ID)}"
    if more := _more(told):
        yield ""
        yield more


def _body(account: str, told: Sequence[_Told]) -> Iterator[str]:
    yield look.title(escape(_counts(told)))
    yield look.remark_html(f"Account {look.name(account)}")
    yield look.table(
        [look.Column("Server and policy", 38), look.Column("What happened", 62)], map(_row, told[:MOST_LISTED])
    )
    if more := _more(told):
        yield look.paragraph(more)


def _row(one: _Told) -> str:
    notice = one.notice
    facts = "".join(f"<br><small>{label} {look.name(value, _LONGEST_ID)}</small>" for label, value in one.facts)
    return (
        f"<tr>{look.row_heading(notice.server_id, notice.account_policy_name)}"
        f"<td>{look.toned(one.words.capitalize(), one.tone)}{facts}</td></tr>\n"
    )
