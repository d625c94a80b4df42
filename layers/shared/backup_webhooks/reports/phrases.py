"""What a report says, in whole sentences: the same in HTML and in plain text. Names in them are not yet legible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from msgspec.structs import astuple

from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.payloads.sanitize import sanitize
from backup_webhooks.reports.labels import STATES, Tone, clock_words, counted, day_words
from backup_webhooks.reports.report import Report, ReportKind, ServerLine, WebhookLine

MOST_ATTENTION = 100
NO_SERVERS = "There are none: no backup policy is active, and no backup was heard of."
_HOUR = timedelta(hours=1)
_USUAL = {ReportKind.DAILY: 24 * _HOUR, ReportKind.WEEKLY: 7 * 24 * _HOUR}
_BEFORE = {ReportKind.DAILY: "the day before", ReportKind.WEEKLY: "the week before"}
# As wide as the plus.
_MINUS = "\u2212"
_LONGEST_REASON = 200
_LONGEST_HOST = 100


@dataclass(frozen=True, slots=True)
class Total:
    """How many backups ended so. `change`: `+2`, against the period before; None where nothing is compared."""

    label: str
    count: int
    tone: Tone
    change: str | None = None


def length(report: Report) -> str:
    """The period's real length: `24 hours`, 23 or 25 where clocks change; `7 days`."""
    start, end = report.start.astimezone(report.zone), report.end.astimezone(report.zone)
    days = (end.date() - start.date()).days
    if days > 1 and start.time() == end.time():
        return f"{days} days"
    hours = round((report.end - report.start) / _HOUR, 2)
    return "hour" if hours == 1 else f"{hours:g} hours"


def period(report: Report) -> str:
    """`The 24 hours to Wed 25 Nov 2026, 07:00 (Europe/Berlin)`."""
    end = report.end.astimezone(report.zone)
    return f"The {length(report)} to {day_words(report.end, report.zone)}, {end:%H:%M} ({report.zone})"


def clock(report: Report, timestamp: datetime) -> str:
    """The moment in the report's zone: `Wed 25 Nov, 03:12`."""
    return clock_words(timestamp, report.zone, report.end.astimezone(report.zone).year)


def is_compared(report: Report) -> bool:
    """Whether the period before is as long as this one: not so after a gap of ours, or a change of the hour."""
    # Where clocks change, a day has an hour more or less.
    return abs(report.end - report.start - _USUAL[report.kind]) <= _HOUR


def totals(report: Report) -> Sequence[Total]:
    """The period's results, the worst first."""
    now, before = report.totals, report.before
    counts = [
        ("Failed", now.failed, before.failed, Tone.BAD),
        ("Missed", now.missed, before.missed, Tone.BAD),
        ("Partial", now.partial_success, before.partial_success, Tone.SLOW),
        ("Succeeded", now.success, before.success, Tone.GOOD),
    ]
    compared = is_compared(report)
    return [
        Total(label, count, tone if count else Tone.PLAIN, _change(count - earlier) if compared else None)
        for label, count, earlier, tone in counts
    ]


def _change(difference: int) -> str:
    return "no change" if difference == 0 else f"+{difference:,}" if difference > 0 else f"{_MINUS}{-difference:,}"


def remarks(report: Report) -> Iterator[str]:
    """What is to be said of the totals."""
    if report.cancelled:
        yield f"{report.cancelled:,} more {_was(report.cancelled)} cancelled."
    late = sum(astuple(report.late)) + report.late_cancelled
    if late:
        yield (
            f"{late:,} of these {_was(late)} due before this period, and {_was(late)} heard of too late for an earlier "
            "report."
        )
    if is_compared(report):
        yield f"+ and {_MINUS} compare with {_BEFORE[report.kind]}."


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def warning(report: Report) -> str | None:
    """What a reader must know before he trusts the counts."""
    if report.read_until is None:
        return None
    return (
        f"We are behind with reading the results, and had come to {clock(report, report.read_until)} when this report "
        "was made. Later ones may be missing here; they will be in the next report."
    )


def silence(report: Report) -> Iterator[str]:
    """That no backup ended, and whether any should have; nothing where one did."""
    if report.ended:
        return
    yield f"No backup ended in {these(report)}."
    if report.missed:
        yield f"{counted(report.missed, 'scheduled backup')} never started."
    coming = [line.next_expected_at for line in report.servers if line.next_expected_at]
    if not coming:
        yield "No server of this account has an active backup policy, so that none is expected."
        return
    servers = len({line.server_id for line in report.servers if line.next_expected_at})
    since = "the next backup is expected" if min(coming) >= report.end else "a backup has been expected since"
    yield (
        f"{counted(servers, 'server has', 'servers have')} an active backup policy; "
        f"{since} {clock(report, min(coming))}."
    )


def these(report: Report) -> str:
    """`these 24 hours`."""
    span = length(report)
    return f"{'this' if span == 'hour' else 'these'} {span}"


def latest(report: Report, line: ServerLine) -> str:
    """When the latest result was."""
    return clock(report, line.last_at) if line.last_at else "none in 7 days"


def upcoming(report: Report, line: ServerLine) -> str:
    """When the next backup is expected."""
    return clock(report, line.next_expected_at) if line.next_expected_at else "none is expected"


def standing(line: ServerLine) -> tuple[str, Tone]:
    """How a server that needs attention stands now."""
    if line.went_wrong and line.state is ServerState.OK:
        return "Recovered", Tone.GOOD
    return STATES[line.state]


def host(line: WebhookLine) -> str:
    """Where a webhook posts to, legible. The rest of its URL may hold a secret."""
    try:
        return sanitize(urlsplit(line.url).hostname or "", _LONGEST_HOST) or "unknown host"
    except ValueError:
        return "unknown host"


def webhook_standing(line: WebhookLine) -> tuple[str, Tone]:
    """How a webhook stands now."""
    if line.switched_off_at:
        return "Switched off", Tone.BAD
    if not line.enabled:
        return "Off", Tone.PLAIN
    return ("Failing", Tone.BAD) if line.consecutive_failures else ("Works again", Tone.GOOD)


def webhook_story(report: Report, line: WebhookLine) -> str:
    """Since when a webhook fails or is off, why, and what did not reach it."""
    facts = []
    if line.switched_off_at:
        facts.append(f"Off since {clock(report, line.switched_off_at)}")
    elif line.consecutive_failures and line.enabled:
        since = f"Since {clock(report, line.failing_since)}, " if line.failing_since else ""
        facts.append(f"{since}{counted(line.consecutive_failures, 'failure')} in a row")
    if facts and line.reason:
        facts[0] += f": {sanitize(line.reason, _LONGEST_REASON)}"
    if line.undelivered:
        facts.append(f"{counted(line.undelivered, 'notification')} not delivered")
    return "".join(f"{fact}. " for fact in facts).rstrip()


def and_more(report: Report) -> str | None:
    """How many servers need attention beyond those that are listed."""
    more = len(report.attention) - MOST_ATTENTION
    return f"And {more:,} more: see the list of all servers below." if more > 0 else None


def nothing_wrong(report: Report) -> str:
    """What is said where nothing needs attention, as far as we know."""
    late = sum(line.state is ServerState.LATE for line in report.servers)
    if not late and report.read_until is None:
        return "Nothing needs attention."
    overdue = f"; {counted(late, 'server is', 'servers are')} late" if late else ""
    return f"Nothing is known to need attention{overdue}."


def strip_note(report: Report) -> str:
    """What the strip shows; its marks are to follow."""
    last = report.strip_ends[-1].astimezone(report.zone)
    return f"The last {len(report.strip_ends)} days, each up to {last:%H:%M}, the newest right:"


def late_note(report: Report) -> str | None:
    """What "Late" means, where a server is."""
    if all(line.state is not ServerState.LATE for line in report.servers):
        return None
    return "Late: the scheduled start has passed, and it is not certain yet that it was missed."


def footer(report: Report) -> Sequence[str]:
    """What is attached, and which clock the report goes by."""
    return (
        f"Times are in {report.zone}. How servers and webhooks stand is as of the making of this report.",
        "Attached: every backup of this report as a table (CSV, zipped where it is large), with its times in UTC."
        if report.table_complete
        else "Attached: the backups that did not succeed, as a table (CSV, zipped), with its times in UTC. One of all "
        "backups would be too large for e-mail.",
    )
