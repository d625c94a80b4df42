"""Hands e-mail to SES: one message a recipient, which mail programs can end with one click (RFC 2369, RFC 8058)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlencode

from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import EmailSettings
from backup_webhooks.reports.email import Email

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

_NAME = "Simple Backup"
_CHARSET = "UTF-8"
# The worst of one message: SES's time to answer, and the pauses. What is begun with so much time left can still end.
LONGEST_SEND = timedelta(seconds=45)
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Mailer:
    """`sender`: the address from which it comes; `page_url`: where the page is, with a slash at the end."""

    client: SESV2Client
    sender: str
    page_url: str
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, settings: EmailSettings) -> Self:
        """One on SES, with the sender and the page that the settings name."""
        return cls(clients.sesv2(), settings.sender, settings.page_url)

    def unsubscribe_url(self, account: str, token: str) -> str:
        """Where the recipient with that token can end his e-mail."""
        return f"{self.page_url}unsubscribe?{urlencode({'account': account, 'token': token}, quote_via=quote)}"

    def send(self, address: str, email: Email, unsubscribe_url: str) -> str | None:
        """Hand it over; None, or why SES has not taken it, or not answered, in words without the address."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                self._send(address, email, unsubscribe_url)
            except self.client.exceptions.TooManyRequestsException as error:
                # So many a second and no more. What is refused so was not sent: it may be tried again here.
                if pause is None:
                    return _code(error)
                self.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads tries, guards nothing
            except ClientError as error:
                return _code(error)
            except BotoCoreError as error:
                return type(error).__name__
            else:
                return None
        raise AssertionError("the last pause is None")

    def _send(self, address: str, email: Email, unsubscribe_url: str) -> None:
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


def _code(error: ClientError) -> str:
    # Its message names the recipient.
    return str(error.response["Error"]["Code"])
