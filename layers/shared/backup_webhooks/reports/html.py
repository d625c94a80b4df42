"""A report as one HTML e-mail: what needs attention first, then every server."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from backup_webhooks.reports import components as look
from backup_webhooks.reports import phrases as sentences
from backup_webhooks.reports.labels import (
    EVENT_LABELS,
    LEGEND,
    STATES,
    SUCCEEDED,
    Mark,
    clock_words,
    day_words,
    in_words,
    worst,
)
from backup_webhooks.reports.report import Report, ServerLine, WebhookLine
from backup_webhooks.reports.subject import counts, subject

_STRIP_WIDTH = 31


def render_html(report: Report, page_url: str, unsubscribe_url: str) -> str:
    """The report as HTML, with links to the page and to where its recipient ends these e-mails."""
    preview = f"{counts(report)}. {sentences.period(report)}"
    foot = look.foot(sentences.footer(report), page_url, unsubscribe_url)
    return look.frame(subject(report), preview, "\n".join(_body(report, page_url)), foot)


def _body(report: Report, page_url: str) -> Iterator[str]:
    yield look.brand(page_url)
    yield look.title(f"Backups of {look.name(report.account)}")
    yield look.remark(sentences.period(report))
    if words := sentences.warning(report):
        yield look.warning(words)
    yield look.figures(
        [(total.label, f"{total.count:,}", total.tone, total.change) for total in sentences.totals(report)]
    )
    if silence := [escape(sentence) for sentence in sentences.silence(report)]:
        yield look.paragraph(f"<b>{silence[0]}</b> {' '.join(silence[1:])}")
    for words in sentences.remarks(report):
        yield look.remark(words)
    yield from _attention(report)
    yield from _servers(report)


def _attention(report: Report) -> Iterator[str]:
    yield look.heading("Needs attention")
    if not report.attention and not report.webhooks:
        yield look.paragraph(escape(sentences.nothing_wrong(report)))
    if report.attention:
        columns = [
            look.Column("Server and policy", 38),
            look.Column("In this report, latest", 32),
            look.Column("Now, next backup", 30),
        ]
        yield look.subheading("Servers")
        listed = report.attention[: sentences.MOST_ATTENTION]
        yield look.table(columns, (_attention_row(report, line) for line in listed))
        if more := sentences.and_more(report):
            yield look.paragraph(escape(more))
    if report.webhooks:
        columns = [look.Column("Event and host", 38), look.Column("What is wrong", 62)]
        yield look.subheading("Webhooks")
        yield look.table(columns, (_webhook_row(report, line) for line in report.webhooks))


def _attention_row(report: Report, line: ServerLine) -> str:
    return (
        f"<tr>{look.row_heading(line.server_id, line.account_policy_name)}"
        f"<td>{escape(in_words(line.period))}<br><small>{escape(sentences.latest(report, line))}</small></td>"
        f"<td>{look.toned(*sentences.standing(line))}<br><small>{escape(sentences.upcoming(report, line))}</small></td>"
        "</tr>\n"
    )


def _webhook_row(report: Report, line: WebhookLine) -> str:
    return (
        f"<tr>{look.row_heading(EVENT_LABELS[line.event], sentences.host(line))}"
        f"<td>{look.toned(*sentences.webhook_standing(line))}<br>"
        f"{escape(sentences.webhook_story(report, line))}</td></tr>\n"
    )


def _servers(report: Report) -> Iterator[str]:
    yield look.heading("All servers")
    if not report.servers:
        yield look.paragraph(sentences.NO_SERVERS)
        return
    marks = ", ".join(f"{look.toned(mark.character, mark.tone)}&nbsp;{mark.words}" for mark in LEGEND)
    yield look.remark_html(f"{escape(sentences.strip_note(report))} {marks}.")
    if note := sentences.late_note(report):
        yield look.remark(note)
    days = [end.astimezone(report.zone) for end in report.strip_ends]
    columns = [
        look.Column("Server and policy", 36),
        look.Column("Now, next backup", 100 - 36 - _STRIP_WIDTH),
        *(look.Column(f"{day:%a}"[0], _STRIP_WIDTH / len(days), day_words(day, report.zone)) for day in days),
    ]
    yield look.table(columns, _server_rows(report))


def _server_rows(report: Report) -> Iterator[str]:
    """A row costs little, of 5,000 and more: no styles at its cells, and a cell of the strip is a character."""
    marks = {mark: _mark(mark) for mark in LEGEND}
    states = {state: f'<b class="{tone}">{words}</b>' for state, (words, tone) in STATES.items()}
    year = report.end.astimezone(report.zone).year
    for line in report.servers:
        strip = "".join([f"<td>{marks[worst(day)]}</td>" for day in line.strip])
        following = line.next_expected_at
        coming = f"<br><small>{clock_words(following, report.zone, year)}</small>" if following else ""
        heading = look.row_heading(line.server_id, line.account_policy_name)
        yield f"<tr>{heading}<td>{states[line.state]}{coming}</td>{strip}</tr>\n"


def _mark(mark: Mark) -> str:
    """A character that is read aloud as what it stands for; a tick speaks for itself."""
    if mark is SUCCEEDED:
        return mark.character
    return f'<b class="{mark.tone}" role="img" aria-label="{mark.words}">{mark.character}</b>'
