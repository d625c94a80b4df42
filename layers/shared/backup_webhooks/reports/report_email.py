"""The e-mail of a report."""

from __future__ import annotations

from collections.abc import Sequence

from backup_webhooks.reports.email import Attachment, Email
from backup_webhooks.reports.html import render_html
from backup_webhooks.reports.report import Report
from backup_webhooks.reports.subject import subject
from backup_webhooks.reports.text import render_text


def report_email(report: Report, attachments: Sequence[Attachment], page_url: str, unsubscribe_url: str) -> Email:
    """Return the e-mail: the report in text and in HTML, with these attachments."""
    links = page_url, unsubscribe_url
    return Email(subject(report), render_text(report, *links), render_html(report, *links), attachments)
