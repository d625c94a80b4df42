"""Hands e-mail to SES: one message a recipient, which mail programs can end with one click (RFC 2369, RFC 8058)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from backup_webhooks import clients
from backup_webhooks.reports.email import Email
from backup_webhooks.settings import EmailSettings

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

_NAME = "Simple Backup"
_CHARSET = "UTF-8"


@dataclass(frozen=True, slots=True)
class Mailer:
    """`sender`: the address from which it comes; `page_url`: where the page is, with a slash at the end."""

    client: SESV2Client
    sender: str
    page_url: str

    @classmethod
    def of(cls, settings: EmailSettings) -> Self:
        """One on SES, with the sender and the page that the settings name."""
        return cls(clients.sesv2(), settings.sender, settings.page_url)

    def unsubscribe_url(self, account: str, token: str) -> str:
        """Where the recipient with that token can end his e-mail."""
        return f"{self.page_url}unsubscribe?{urlencode({'account': account, 'token': token})}"

    def send(self, address: str, email: Email, unsubscribe_url: str) -> None:
        """Raises botocore's errors: of the address, of our identity, of the rate at which we may send."""
        self.client.send_email(
            FromEmailAddress=f"{_NAME} <{self.sender}>",
            Destination={"ToAddresses": [address]},
            Content={
                "Simple": {
                    "Subject": {"Data": email.subject, "Charset": _CHARSET},
                    "Body": {
                        "Text": {"Data": email.text, "Charset": _CHARSET},
                        "Html": {"Data": email.html, "Charset": _CHARSET},
                    },
                    "Headers": [
                        {"Name": "List-Unsubscribe", "Value": f"<{unsubscribe_url}>"},
                        {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                        # Nobody's "out of office" is to come back.
                        {"Name": "Auto-Submitted", "Value": "auto-generated"},
                    ],
                    "Attachments": [
                        {
                            "FileName": attachment.name,
                            "ContentType": attachment.content_type,
                            "ContentDisposition": "ATTACHMENT",
                            "ContentTransferEncoding": "BASE64",
                            "RawContent": attachment.content,
                        }
                        for attachment in email.attachments
                    ],
                }
            },
        )
