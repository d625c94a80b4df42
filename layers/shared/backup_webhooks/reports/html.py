"""A report as one HTML e-mail: first the servers and webhooks that need attention, then every server."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from backup_webhooks.reports import components, phrases
from backup_webhooks.reports.labels import (
    LEGEND,
    STATES,
    SUCCEEDED,
    Mark,
    clock_words,
    day_words,
    result_words,
    worst_mark,
)
from backup_webhooks.reports.report import Report, ServerLine, WebhookLine
from backup_webhooks.reports.subject import counts, subject

_STRIP_WIDTH = 31


def render_html(report: Report, page_url: str, unsubscribe_url: str) -> str:
    """Return the report as HTML, with links to the page and to unsubscribe."""
    preview = f"{counts(report)}. {phrases.period(report)}"
    footer = components.footer(phrases.footer(report), page_url, unsubscribe_url)
    return components.frame(subject(report), preview, "\n".join(_body(report, page_url)), footer)


def _body(report: Report, page_url: str) -> Iterator[str]:
    yield components.brand(page_url)
    yield components.title(f"Backups of {components.name(report.account)}")
    yield components.remark(phrases.period(report))
    if words := phrases.warning(report):
        yield components.warning(words)
    yield components.figures(
        [(total.label, f"{total.count:,}", total.tone, total.change) for total in phrases.totals(report)]
    )
    if sentences := [escape(sentence) for sentence in phrases.no_backups(report)]:
        yield components.paragraph(f"<b>{sentences[0]}</b> {' '.join(sentences[1:])}")
    for words in phrases.remarks(report):
        yield components.remark(words)
    yield from _attention(report)
    yield from _servers(report)


def _attention(report: Report) -> Iterator[str]:
    yield components.heading("Needs attention")
    if not report.attention and not report.webhooks:
        yield components.paragraph(escape(phrases.nothing_wrong(report)))
    if report.attention:
        columns = [
            components.Column("Server and policy", 38),
            components.Column("In this report, latest", 32),
            components.Column("Now, next backup", 30),
        ]
        yield components.subheading("Servers")
        listed = report.attention[: phrases.MOST_ATTENTION]
        yield components.table(columns, (_attention_row(report, line) for line in listed))
        if more := phrases.more_attention(report):
            yield components.paragraph(escape(more))
    if report.webhooks:
        columns = [components.Column("Event and host", 38), components.Column("What is wrong", 62)]
        yield components.subheading("Webhooks")
        yield components.table(columns, (_webhook_row(report, line) for line in report.webhooks))


def _attention_row(report: Report, line: ServerLine) -> str:
    return (
        f"<tr>{components.row_heading(line.server_id, line.account_policy_name)}"
        f"<td>{escape(result_words(line.period))}<br><small>{escape(phrases.latest(report, line))}</small></td>"
        f"<td>{components.toned(*phrases.state(line))}"
        f"<br><small>{escape(phrases.upcoming(report, line))}</small></td>"
        "</tr>\n"
    )


def _webhook_row(report: Report, line: WebhookLine) -> str:
    return (
        f"<tr>{components.row_heading(phrases.events(line), phrases.host(line))}"
        f"<td>{components.toned(*phrases.webhook_state(line))}<br>"
        f"{escape(phrases.webhook_details(report, line))}</td></tr>\n"
    )


def _servers(report: Report) -> Iterator[str]:
    yield components.heading("All servers")
    if not report.servers:
        yield components.paragraph(phrases.NO_SERVERS)
        return
    marks = ", ".join(f"{components.toned(mark.character, mark.tone)}&nbsp;{mark.words}" for mark in LEGEND)
    yield components.remark_html(f"{escape(phrases.strip_note(report))} {marks}.")
    if note := phrases.late_note(report):
        yield components.remark(note)
    days = [end.astimezone(report.zone) for end in report.strip_ends]
    columns = [
        components.Column("Server and policy", 36),
        components.Column("Now, next backup", 100 - 36 - _STRIP_WIDTH),
        *(components.Column(f"{day:%a}"[0], _STRIP_WIDTH / len(days), day_words(day, report.zone)) for day in days),
    ]
    yield components.table(columns, _server_rows(report))


def _server_rows(report: Report) -> Iterator[str]:
    """Yield the rows, of which there may be 5,000: cells without styles, and a day of the strip is one character."""
    marks = {mark: _mark(mark) for mark in LEGEND}
    states = {state: f'<b class="{tone}">{words}</b>' for state, (words, tone) in STATES.items()}
    year = report.end.astimezone(report.zone).year
    for line in report.servers:
        strip = "".join([f"<td>{marks[worst_mark(day)]}</td>" for day in line.strip])
        following = line.next_expected_at
        coming = f"<br><small>{clock_words(following, report.zone, year)}</small>" if following else ""
        heading = components.row_heading(line.server_id, line.account_policy_name)
        yield f"<tr>{heading}<td>{states[line.state]}{coming}</td>{strip}</tr>\n"


def _mark(mark: Mark) -> str:
    """Return the mark, labelled for screen readers with its words; they read a tick without a label."""
    if mark is SUCCEEDED:
        return mark.character
    return f'<b class="{mark.tone}" role="img" aria-label="{mark.words}">{mark.character}</b>'
