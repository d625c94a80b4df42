"""How our e-mail looks: the frame, the colours and the few building blocks that all of it is made of.

What mail programs keep is what is used: tables, colours written at the elements, and one short style sheet for those
that read it, with the dark colours. Nothing is fetched. What is passed is plain and is escaped here, where it is not
called HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from backup_webhooks.payloads.sanitize import MOST, sanitize
from backup_webhooks.reports.labels import Tone

_FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
# Each 4.5:1 or more on the surface and on the ground; the page's own colours.
_GROUND, _SURFACE, _TEXT, _MUTED, _LINE, _LINK = "#f5f6f8", "#ffffff", "#1a2330", "#566072", "#dde2e9", "#1d5bb8"
_TONES = {Tone.GOOD: "#17733f", Tone.SLOW: "#855400", Tone.BAD: "#b3261e", Tone.PLAIN: _MUTED}
# Gmail drops a style sheet of more than 8,192 characters, and one in which it meets what it does not know.
_STYLE = f"""
:root{{color-scheme:light dark;supported-color-schemes:light dark}}
.d th,.d td{{font-family:{_FONT};text-align:left;vertical-align:top}}
.d th,.d td{{border-bottom:1px solid {_LINE};padding:7px 8px 7px 0}}
.d th{{font-weight:600}}
.d .h th{{color:{_MUTED};font-size:12px;border-bottom-color:{_MUTED};vertical-align:bottom}}
.d small{{color:{_MUTED};font-size:12px;font-weight:400}}
.g{{color:{_TONES[Tone.GOOD]}}} .s{{color:{_TONES[Tone.SLOW]}}}
.b{{color:{_TONES[Tone.BAD]}}} .o{{color:{_MUTED}}}
@media (max-width:480px){{
.p{{padding:20px 16px!important}}
.q{{padding:12px 0!important}}
.d{{font-size:13px!important}}
.d th,.d td{{padding:7px 5px 7px 0}}
.n{{font-size:20px!important}}
}}
@media (prefers-color-scheme:dark){{
.x{{background:#10141a!important;color:#e4e9f0!important}}
.c{{background:#181d25!important;border-color:#2a323e!important;color:#e4e9f0!important}}
.m,.d .h th,.d small,.o{{color:#9ba7b7!important}}
.d th,.d td{{border-bottom-color:#2a323e!important}}
.d .h th{{border-bottom-color:#697688!important}}
.l{{color:#7fb0f7!important}}
.w{{background:#2b2413!important;border-color:#8a6a1e!important;color:#e4e9f0!important}}
.g{{color:#5fcf93!important}} .s{{color:#e9b252!important}} .b{{color:#ff8d84!important}}
}}
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a data table: `width` in per cent; `full`: what a short heading stands for."""

    heading: str
    width: float
    full: str | None = None


def name(text: str, most: int = MOST) -> str:
    """A name from outside as HTML: legible, and its direction of reading kept to itself."""
    return f"<bdi>{escape(sanitize(text, most))}</bdi>"


def toned(words: str, tone: Tone) -> str:
    """Words in bold, in the colour of their tone."""
    return f'<b class="{tone}" style="color:{_TONES[tone]}">{escape(words)}</b>'


def title(html: str) -> str:
    """The heading of the whole."""
    return f'<h1 style="margin:4px 0 0;font-size:24px;line-height:1.25;letter-spacing:-.01em">{html}</h1>'


def heading(words: str) -> str:
    """The heading of a section."""
    return f'<h2 style="margin:28px 0 8px;font-size:17px;line-height:1.35">{escape(words)}</h2>'


def subheading(words: str) -> str:
    """The heading of a part of a section."""
    return f'<h3 style="margin:16px 0 4px;font-size:14px;line-height:1.35">{escape(words)}</h3>'


def paragraph(html: str) -> str:
    """Running text."""
    return f'<p style="margin:8px 0">{html}</p>'


def remark(words: str) -> str:
    """What is said in passing."""
    return remark_html(escape(words))


def remark_html(html: str) -> str:
    """What is said in passing, with names or links in it."""
    return f'<p class="m" style="margin:8px 0;font-size:13px;color:{_MUTED}">{html}</p>'


def warning(words: str) -> str:
    """What must not be overlooked."""
    return (
        f'<p class="w" style="margin:16px 0;padding:10px 14px;background:#fff6e0;border:1px solid #d9a83a;'
        f'border-radius:8px;color:{_TEXT}">{escape(words)}</p>'
    )


def link(url: str, words: str) -> str:
    """A link to a page of ours."""
    return f'<a class="l" href="{escape(url)}" style="color:{_LINK}">{escape(words)}</a>'


def brand(page_url: str) -> str:
    """Who writes, and the way to the page: at the top, as some programs cut the end of a long e-mail off."""
    return remark_html(link(page_url, "Simple Backup"))


def foot(phrases: Iterable[str], page_url: str, unsubscribe_url: str) -> str:
    """How each of our e-mails ends."""
    links = f"{link(page_url, 'Open Simple Backup')} · {link(unsubscribe_url, 'Stop these e-mails')}"
    return "".join(paragraph(html) for html in (*map(escape, phrases), links))


def row_heading(main: str, below: str) -> str:
    """What a row is about: a server, say, and its policy. Few bytes, as there are thousands of them."""
    return f'<th scope="row">{name(main)}<br><small>{name(below)}</small></th>'


def figures(labelled: Sequence[tuple[str, str, Tone, str | None]]) -> str:
    """Numbers side by side: label, number, tone, and what is said below it."""
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
    """A table of data. `rows` are HTML, each a `<tr>` whose first cell is its heading."""
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


def frame(title: str, preview: str, body: str, foot: str) -> str:
    """The whole e-mail. `title` and `preview` are plain: what a list of e-mail shows; `body` and `foot` are HTML.

    What is said to "mso" is for the Outlook that knows no `max-width`.
    """
    return f"""<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body class="x" style="margin:0;padding:0;-webkit-text-size-adjust:100%;background:{_GROUND};color:{_TEXT}">
<div style="display:none;max-height:0;overflow:hidden">{escape(preview)}</div>
<div role="article" aria-roledescription="email" aria-label="{escape(title)}" lang="en" dir="ltr">
<table role="presentation" class="x" width="100%" cellpadding="0" cellspacing="0" \
style="background:{_GROUND};color:{_TEXT};font:15px/1.5 {_FONT};overflow-wrap:anywhere">
<tr><td class="q" align="center" style="padding:24px 12px">
<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0"><tr><td><![endif]-->
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px;table-layout:fixed">
<tr><td class="c p" align="left" style="background:{_SURFACE};border:1px solid {_LINE};border-radius:10px;\
padding:24px;color:{_TEXT};font:15px/1.5 {_FONT}">
{body}
</td></tr>
<tr><td class="m p" align="left" style="padding:16px 24px;color:{_MUTED};font:13px/1.5 {_FONT}">
{foot}
</td></tr>
</table>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr>
</table>
</div>
</body>
</html>
"""
