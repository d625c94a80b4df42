"""A report as plain text: the words of the HTML, in lines that fit a phone and a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from backup_webhooks.payloads.sanitize import isolated
from backup_webhooks.reports import phrases
from backup_webhooks.reports.labels import LEGEND, STATES, clock_words, result_words, worst_mark
from backup_webhooks.reports.report import Report, ServerLine, WebhookLine

WIDTH = 78
_INDENT = "  "


def render_text(report: Report, page_url: str, unsubscribe_url: str) -> str:
    """Return the report as text, with the URLs of the page and to unsubscribe."""
    return "\n".join(
        [
            *_head(report),
            *_totals(report),
            *_attention(report),
            *_servers(report),
            *footer(phrases.footer(report), page_url, unsubscribe_url),
        ]
    )


def headline(words: str) -> Iterator[str]:
    """Yield the lines of a section's heading."""
    yield ""
    yield words.upper()
    yield ""


def wrapped(words: str, indent: str = "") -> Iterator[str]:
    """Yield the sentence in lines of at most 78 columns, unless a name in it is longer."""
    yield from textwrap.wrap(
        words,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def footer(words: Iterable[str], page_url: str, unsubscribe_url: str) -> Iterator[str]:
    """Yield the last lines of an e-mail. A URL has its own line, so that programs make a link of all of it."""
    yield ""
    yield "-" * 40
    for sentence in words:
        yield from wrapped(sentence)
    yield from ("", "Open Simple Backup:", page_url, "", "Stop these e-mails:", unsubscribe_url, "")


def _head(report: Report) -> Iterator[str]:
    yield f"Backups of {isolated(report.account)}"
    yield from wrapped(phrases.period(report))
    if words := phrases.warning(report):
        yield ""
        yield from wrapped(words)


def _totals(report: Report) -> Iterator[str]:
    yield ""
    for total in phrases.totals(report):
        change = f"  ({total.change})" if total.change else ""
        yield f"{_INDENT}{total.label:<10}{total.count:>9,}{change}"
    yield ""
    yield from wrapped(" ".join(phrases.no_backups(report)))
    for words in phrases.remarks(report):
        yield from wrapped(words)


def _attention(report: Report) -> Iterator[str]:
    yield from headline("Needs attention")
    if not report.attention and not report.webhooks:
        yield from wrapped(phrases.nothing_wrong(report))
    for line in report.attention[: phrases.MOST_ATTENTION]:
        yield from _attention_lines(report, line)
    if more := phrases.more_attention(report):
        yield from wrapped(more)
    for webhook in report.webhooks:
        yield from _webhook_lines(report, webhook)


def _attention_lines(report: Report, line: ServerLine) -> Iterator[str]:
    words, _ = phrases.state(line)
    yield f"* {_server(line)}: {words}"
    facts = f"{result_words(line.period)}; latest {phrases.latest(report, line)}; next {phrases.upcoming(report, line)}"
    yield from wrapped(facts, _INDENT)


def _webhook_lines(report: Report, line: WebhookLine) -> Iterator[str]:
    words, _ = phrases.webhook_state(line)
    yield f"* Webhook {phrases.events(line)}, {isolated(phrases.host(line))}: {words}"
    yield from wrapped(phrases.webhook_details(report, line), _INDENT)


def _servers(report: Report) -> Iterator[str]:
    yield from headline("All servers")
    if not report.servers:
        yield from wrapped(phrases.NO_SERVERS)
        return
    # No-break spaces keep a mark and its words on one line.
    marks = ", ".join(f"{mark.character}\u00a0{mark.words}" for mark in LEGEND)
    yield from wrapped(f"{phrases.strip_note(report)} {marks}.")
    if note := phrases.late_note(report):
        yield from wrapped(note)
    yield ""
    year = report.end.astimezone(report.zone).year
    yield _INDENT + " ".join(f"{end.astimezone(report.zone):%a}"[:1] for end in report.strip_ends)
    for line in report.servers:
        following = line.next_expected_at
        coming = f", next {clock_words(following, report.zone, year)}" if following else ""
        words, _ = STATES[line.state]
        yield _server(line)
        yield f"{_INDENT}{' '.join([worst_mark(day).character for day in line.strip])}  {words}{coming}"


def _server(line: ServerLine) -> str:
    return f"{isolated(line.server_id)} ({isolated(line.account_policy_name)})"
