"""A report's subject: the counts, so that a reader knows from his list of e-mail whether to open it."""

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
    """`Backups of TEST: 3 failed, 1 missed, 2 partial, 214 succeeded - Wed 25 Nov 2026`: one line, at most 150."""
    said = f": {counts(report)}"
    tail = f" {_DASH} {'week to ' if report.kind is ReportKind.WEEKLY else ''}{day_words(report.end, report.zone)}"
    room = LONGEST - len(_HEAD) - len(said) - len(tail) - _ISOLATES
    account = isolated(report.account, max(_SHORTEST_ACCOUNT, min(room, _LONGEST_ACCOUNT)))
    head = _HEAD + account + said
    for more in _further(report):
        if len(head) + len(more) + len(tail) + 2 <= LONGEST:
            head += f", {more}"
    return head + tail


def counts(report: Report) -> str:
    """`3 failed, 1 missed, 214 succeeded`: what is not zero, the worst first; `all 214 succeeded`; `no backups`."""
    totals = report.totals
    wrong = [
        f"{count:,} {words}"
        for count, words in ((totals.failed, "failed"), (totals.missed, "missed"), (totals.partial_success, "partial"))
        if count
    ]
    if not report.ended:
        # What is told then was heard of too late for an earlier report, or was missed.
        late = [f"{totals.success:,} succeeded"] if totals.success else []
        return ", ".join([*wrong, *late, "no backups since" if any(astuple(report.late)) else "no backups"])
    if totals.success:
        all_well = not wrong and not report.cancelled and totals.success > 1
        well = f"all {totals.success:,} succeeded" if all_well else f"{totals.success:,} succeeded"
    else:
        well = "none succeeded"
    return ", ".join([*wrong, well, *([f"{report.cancelled:,} cancelled"] if report.cancelled else [])])


def _further(report: Report) -> Iterator[str]:
    """What else is to be known, where there is room: the most important first."""
    if report.read_until:
        yield "may be incomplete"
    standing = sum(line.is_wrong and not line.went_wrong for line in report.attention)
    if standing:
        yield f"{counted(standing, 'server')} still wrong"
    off = sum(line.switched_off_at is not None for line in report.webhooks)
    if off:
        yield f"{counted(off, 'webhook')} off"
    failing = sum(
        line.consecutive_failures > 0 and line.enabled and not line.switched_off_at for line in report.webhooks
    )
    if failing:
        yield f"{counted(failing, 'webhook')} failing"
