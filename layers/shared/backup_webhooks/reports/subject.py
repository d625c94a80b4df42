"""A report's subject: the counts, so that a list of e-mail shows whether the report needs attention."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import astuple

from backup_webhooks.payloads.sanitize import isolated
from backup_webhooks.reports.labels import counted, day_words
from backup_webhooks.reports.report import Report, ReportKind

LONGEST = 150
_HEAD = "Backups of "
_SHORTEST_ACCOUNT, _LONGEST_ACCOUNT = 10, 40
_ISOLATES = 2
_DASH = "\u2013"


def subject(report: Report) -> str:
    """Return one line of at most 150 characters.

    For example `Backups of TEST: 3 failed, 1 missed, 2 partial, 214 succeeded - Wed 25 Nov 2026`.
    """
    summary = f": {counts(report)}"
    tail = f" {_DASH} {'week to ' if report.kind is ReportKind.WEEKLY else ''}{day_words(report.end, report.zone)}"
    room = LONGEST - len(_HEAD) - len(summary) - len(tail) - _ISOLATES
    account = isolated(report.account, max(_SHORTEST_ACCOUNT, min(room, _LONGEST_ACCOUNT)))
    head = _HEAD + account + summary
    for remark in _remarks(report):
        if len(head) + len(remark) + len(tail) + 2 <= LONGEST:
            head += f", {remark}"
    return head + tail


def counts(report: Report) -> str:
    """Return the counts that are not zero, the worst first: `3 failed, 1 missed, 214 succeeded`.

    Without trouble it is `all 214 succeeded`, or `no backups`.
    """
    totals = report.totals
    wrong = [
        f"{count:,} {words}"
        for count, words in ((totals.failed, "failed"), (totals.missed, "missed"), (totals.partial_success, "partial"))
        if count
    ]
    if not report.ended:
        # These backups were recorded too late for an earlier report, or were missed.
        late = [f"{totals.success:,} succeeded"] if totals.success else []
        return ", ".join([*wrong, *late, "no backups since" if any(astuple(report.late)) else "no backups"])
    if totals.success:
        all_well = not wrong and not report.cancelled and totals.success > 1
        well = f"all {totals.success:,} succeeded" if all_well else f"{totals.success:,} succeeded"
    else:
        well = "none succeeded"
    return ", ".join([*wrong, well, *([f"{report.cancelled:,} cancelled"] if report.cancelled else [])])


def _remarks(report: Report) -> Iterator[str]:
    """Yield remarks for the rest of the line, the most important first."""
    if report.read_until:
        yield "may be incomplete"
    still_wrong = sum(line.is_wrong and not line.went_wrong for line in report.attention)
    if still_wrong:
        yield f"{counted(still_wrong, 'server')} still wrong"
    off = sum(line.switched_off_at is not None for line in report.webhooks)
    if off:
        yield f"{counted(off, 'webhook')} off"
    failing = sum(
        line.consecutive_failures > 0 and line.enabled and not line.switched_off_at for line in report.webhooks
    )
    if failing:
        yield f"{counted(failing, 'webhook')} failing"
