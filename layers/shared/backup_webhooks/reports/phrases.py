"""The sentences of a report, the same in HTML and in plain text.

Only hosts and reasons are sanitized here; other names are sanitized where they are shown.
"""

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
    """A result's count. `change`: against the period before, such as `+2`, or None if the periods are not compared."""

    label: str
    count: int
    tone: Tone
    change: str | None = None


def length(report: Report) -> str:
    """Return the period's real length: `24 hours` (23 or 25 where clocks change), or `7 days`."""
    start, end = report.start.astimezone(report.zone), report.end.astimezone(report.zone)
    days = (end.date() - start.date()).days
    if days > 1 and start.time() == end.time():
        return f"{days} days"
    hours = round((report.end - report.start) / _HOUR, 2)
    return "hour" if hours == 1 else f"{hours:g} hours"


def period(report: Report) -> str:
    """Return the period: `The 24 hours to Wed 25 Nov 2026, 07:00 (Europe/Berlin)`."""
    end = report.end.astimezone(report.zone)
    return f"The {length(report)} to {day_words(report.end, report.zone)}, {end:%H:%M} ({report.zone})"


def clock(report: Report, timestamp: datetime) -> str:
    """Return the timestamp in the report's zone: `Wed 25 Nov, 03:12`."""
    return clock_words(timestamp, report.zone, report.end.astimezone(report.zone).year)


def is_compared(report: Report) -> bool:
    """Return whether the period before is as long: not after a gap in the reports, or after a change of the hour."""
    # Where clocks change, a day has an hour more or less.
    return abs(report.end - report.start - _USUAL[report.kind]) <= _HOUR


def totals(report: Report) -> Sequence[Total]:
    """Return the period's results, the worst first."""
    now, before = report.totals, report.before
    counts = [
        ("Failed", now.failed, before.failed, Tone.BAD),
        ("Missed", now.missed, before.missed, Tone.BAD),
        *([("Unfinished", now.unfinished, before.unfinished, Tone.BAD)] if now.unfinished or before.unfinished else []),
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
    """Yield remarks on the totals: cancelled and late backups, and the comparison."""
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
    """Return the warning that counts may be incomplete, or None if all results of the period were read."""
    if report.read_until is None:
        return None
    return (
        f"We are behind with reading the results, and had come to {clock(report, report.read_until)} when this report "
        "was made. Later ones may be missing here; they will be in the next report."
    )


def no_backups(report: Report) -> Iterator[str]:
    """Yield that no backup ended, and when one was expected; nothing if one ended."""
    if report.ended:
        return
    yield f"No backup ended in {these_hours(report)}."
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


def these_hours(report: Report) -> str:
    """Return `these 24 hours`, or `this hour`."""
    span = length(report)
    return f"{'this' if span == 'hour' else 'these'} {span}"


def latest(report: Report, line: ServerLine) -> str:
    """Return when the server's latest result was."""
    return clock(report, line.last_at) if line.last_at else "none in 7 days"


def upcoming(report: Report, line: ServerLine) -> str:
    """Return when the server's next backup is expected."""
    if line.next_expected_at:
        return clock(report, line.next_expected_at)
    problem = f": {sanitize(line.schedule_problem, _LONGEST_REASON)}" if line.schedule_problem else ""
    return f"none is expected{problem}"


def state(line: ServerLine) -> tuple[str, Tone]:
    """Return the present state of a server that needs attention."""
    if line.went_wrong and line.state is ServerState.OK:
        return "Recovered", Tone.GOOD
    return STATES[line.state]


def events(line: WebhookLine) -> str:
    """Return the labels of the webhook's event types."""
    return ", ".join(event_type.label for event_type in line.event_types)


def host(line: WebhookLine) -> str:
    """Return the host of a webhook's URL, sanitized. The rest of the URL may hold a secret."""
    try:
        return sanitize(urlsplit(line.url).hostname or "", _LONGEST_HOST) or "unknown host"
    except ValueError:
        return "unknown host"


def webhook_state(line: WebhookLine) -> tuple[str, Tone]:
    """Return the present state of a webhook."""
    if line.switched_off_at:
        return "Switched off", Tone.BAD
    if not line.enabled:
        return "Off", Tone.PLAIN
    return ("Failing", Tone.BAD) if line.consecutive_failures else ("Works again", Tone.GOOD)


def webhook_details(report: Report, line: WebhookLine) -> str:
    """Return since when and why a webhook fails or is off, and how many notifications did not reach it."""
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


def more_attention(report: Report) -> str | None:
    """Return how many more servers need attention than are listed, or None if all are listed."""
    more = len(report.attention) - MOST_ATTENTION
    return f"And {more:,} more: see the list of all servers below." if more > 0 else None


def nothing_wrong(report: Report) -> str:
    """Return the sentence for a report in which nothing is known to need attention."""
    late = sum(line.state is ServerState.LATE for line in report.servers)
    if not late and report.read_until is None:
        return "Nothing needs attention."
    overdue = f"; {counted(late, 'server is', 'servers are')} late" if late else ""
    return f"Nothing is known to need attention{overdue}."


def strip_note(report: Report) -> str:
    """Return the explanation of the strips; the caller adds the marks."""
    last = report.strip_ends[-1].astimezone(report.zone)
    return f"The last {len(report.strip_ends)} days, each up to {last:%H:%M}, the newest right:"


def late_note(report: Report) -> str | None:
    """Return the explanation of "Late", or None if no server is late."""
    if all(line.state is not ServerState.LATE for line in report.servers):
        return None
    return "Late: the scheduled start has passed, and it is not certain yet that it was missed."


def footer(report: Report) -> Sequence[str]:
    """Return the sentences on the time zone and on the attachment."""
    return (
        f"Times are in {report.zone}. How servers and webhooks stand is as of the making of this report.",
        "Attached: every backup of this report as a table (CSV, zipped where it is large), with its times in UTC."
        if report.attachment_complete
        else "Attached: the backups that did not succeed, as a table (CSV, zipped), with its times in UTC. One of all "
        "backups would be too large for e-mail.",
    )
