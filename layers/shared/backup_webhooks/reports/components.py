"""The frame, the colours and the building blocks of all e-mail.

Mail programs keep tables, colours written at the elements, and in part one short style sheet, which has the dark
colours. Nothing is fetched. Arguments are plain text and are escaped here, unless their name says HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from backup_webhooks.payloads.sanitize import MOST, sanitize
from backup_webhooks.reports.labels import Tone

# Each 4.5:1 or more on the surface and on the ground; the page's own colours.
_TEXT, _MUTED, _LINK = "#1a2330", "#566072", "#1d5bb8"
_TONES = {Tone.GOOD: "#17733f", Tone.SLOW: "#855400", Tone.BAD: "#b3261e", Tone.PLAIN: _MUTED}
_STYLES = {
    "font": "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif",
    "ground": "#f5f6f8",
    "surface": "#ffffff",
    "line": "#dde2e9",
    "text": _TEXT,
    "muted": _MUTED,
    "good": _TONES[Tone.GOOD],
    "slow": _TONES[Tone.SLOW],
    "bad": _TONES[Tone.BAD],
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a data table. `width`: in per cent; `full`: the words that a short heading stands for."""

    heading: str
    width: float
    full: str | None = None


def name(text: str, most: int = MOST) -> str:
    """Return a name from outside as HTML: sanitized, and with its reading direction isolated."""
    return f"<bdi>{escape(sanitize(text, most))}</bdi>"


def toned(words: str, tone: Tone) -> str:
    """Return the words in bold and in the colour of their tone."""
    return f'<b class="{tone}" style="color:{_TONES[tone]}">{escape(words)}</b>'


def title(html: str) -> str:
    """Return the heading of the e-mail."""
    return f'<h1 style="margin:4px 0 0;font-size:24px;line-height:1.25;letter-spacing:-.01em">{html}</h1>'


def heading(words: str) -> str:
    """Return the heading of a section."""
    return f'<h2 style="margin:28px 0 8px;font-size:17px;line-height:1.35">{escape(words)}</h2>'


def subheading(words: str) -> str:
    """Return the heading of a part of a section."""
    return f'<h3 style="margin:16px 0 4px;font-size:14px;line-height:1.35">{escape(words)}</h3>'


def paragraph(html: str) -> str:
    """Return a paragraph of running text."""
    return f'<p style="margin:8px 0">{html}</p>'


def remark(words: str) -> str:
    """Return a paragraph of small, muted text."""
    return remark_html(escape(words))


def remark_html(html: str) -> str:
    """Return a paragraph of small, muted text that has names or links in it."""
    return f'<p class="m" style="margin:8px 0;font-size:13px;color:{_MUTED}">{html}</p>'


def warning(words: str) -> str:
    """Return a paragraph in a box that stands out."""
    return (
        f'<p class="w" style="margin:16px 0;padding:10px 14px;background:#fff6e0;border:1px solid #d9a83a;'
        f'border-radius:8px;color:{_TEXT}">{escape(words)}</p>'
    )


def link(url: str, words: str) -> str:
    """Return a link to a page of this service."""
    return f'<a class="l" href="{escape(url)}" style="color:{_LINK}">{escape(words)}</a>'


def brand(page_url: str) -> str:
    """Return the sender's name as a link to the page. It stands first, as some programs cut a long e-mail off."""
    return remark_html(link(page_url, "Simple Backup"))


def footer(phrases: Iterable[str], page_url: str, unsubscribe_url: str) -> str:
    """Return the end of an e-mail: these phrases, and the links to the page and to unsubscribe."""
    links = f"{link(page_url, 'Open Simple Backup')} · {link(unsubscribe_url, 'Stop these e-mails')}"
    return "".join(paragraph(html) for html in (*map(escape, phrases), links))


def row_heading(main: str, below: str) -> str:
    """Return the first cell of a row: a server and its policy, say. It has few bytes, as there are thousands."""
    return f'<th scope="row">{name(main)}<br><small>{name(below)}</small></th>'


def figures(labelled: Sequence[tuple[str, str, Tone, str | None]]) -> str:
    """Return numbers side by side, each given as its label, the number, its tone, and the words below it."""
    width = 100 // len(labelled)
    head = "".join(
        f'<th scope="col" class="m" width="{width}%" style="text-align:left;vertical-align:bottom;font-size:12px;'
        f'font-weight:600;color:{_MUTED};padding-right:4px">{escape(label)}</th>'
        for label, *_ in labelled
    )
    cells = "".join(
        f'<td style="vertical-align:top;padding-right:4px"><b class="n {tone}" style="color:{_TONES[tone]};'
        f'font-size:28px;line-height:1.3;white-space:nowrap">{escape(number)}</b>'
        + (f'<br><span class="m" style="font-size:12px;color:{_MUTED}">{escape(below)}</span>' if below else "")
        + "</td>"
        for _, number, tone, below in labelled
    )
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" style="margin:16px 0 8px;table-layout:fixed">'
        f"<tr>{head}</tr><tr>{cells}</tr></table>"
    )


def table(columns: Sequence[Column], rows: Iterable[str]) -> str:
    """Return a data table. Each of `rows` is HTML: a `<tr>` whose first cell is its heading."""
    head = "".join(
        f'<th scope="col" width="{column.width:g}%">'
        + (f'<abbr title="{escape(column.full)}" style="text-decoration:none">' if column.full else "")
        + escape(column.heading)
        + ("</abbr></th>" if column.full else "</th>")
        for column in columns
    )
    return (
        '<table class="d" width="100%" cellpadding="4" cellspacing="0" style="table-layout:fixed;text-align:left;'
        f'font-size:14px;line-height:1.4;word-break:break-word;overflow-wrap:anywhere"><thead><tr class="h">{head}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def frame(title: str, preview: str, body: str, footer: str) -> str:
    """Return the whole e-mail: `frame.html`, with `frame.css` in it. `body` and `footer` are HTML.

    A list of e-mail shows `title` and `preview`, which are plain text. The comments for "mso" serve the Outlook that
    does not support `max-width`.
    """
    return _frame().substitute(
        _STYLES, style=_style_sheet(), title=escape(title), preview=escape(preview), body=body, footer=footer
    )


@cache
def _frame() -> Template:
    return _template("frame.html")


@cache
def _style_sheet() -> str:
    # Gmail drops a style sheet of more than 8,192 characters, and one with a rule that it does not support.
    return _template("frame.css").substitute(_STYLES)


def _template(file: str) -> Template:
    return Template(files(__package__).joinpath(file).read_text(encoding="utf-8"))
