"""Hands e-mail to SES: one message a recipient, who can unsubscribe with one click (RFC 2369, RFC 8058)."""

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
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.settings import Settings, Text
from backup_webhooks.reports.email import Email

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

_SENDER_NAME = "Simple Backup"
_CHARSET = "UTF-8"
# The longest time that one message takes: SES's answer, and the pauses. No message is begun with less time left.
LONGEST_SEND = timedelta(seconds=45)
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)


class EmailSettings(Settings, frozen=True, kw_only=True):
    """Settings of a function that sends e-mail: the sender's address, and the page that the e-mail links to."""

    email_sender: Text
    page_url: Text


@dataclass(frozen=True, slots=True)
class Mailer:
    """A client of SES. `sender`: the sender's address; `page_url`: the page's URL, with a slash at the end."""

    client: SESV2Client
    sender: str
    page_url: str
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, settings: EmailSettings, aws: Clients = clients) -> Self:
        """Return a mailer with the sender and the page that the settings name."""
        return cls(aws.sesv2(), settings.email_sender, settings.page_url)

    def unsubscribe_url(self, account: str, token: str) -> str:
        """Return the URL at which the recipient with that token can unsubscribe."""
        return f"{self.page_url}unsubscribe?{urlencode({'account': account, 'token': token}, quote_via=quote)}"

    def send(self, address: str, email: Email, unsubscribe_url: str) -> str | None:
        """Send the e-mail. Return None, or why SES did not take it or did not answer, without the address."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                self._send(address, email, unsubscribe_url)
            except self.client.exceptions.TooManyRequestsException as error:
                # The account's rate is used up. The message was not sent, so another try cannot send it twice.
                if pause is None:
                    return _error_code(error)
                self.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads the tries, protects nothing
            except ClientError as error:
                return _error_code(error)
            except BotoCoreError as error:
                return type(error).__name__
            else:
                return None
        raise AssertionError("the last pause is None")

    def _send(self, address: str, email: Email, unsubscribe_url: str) -> None:
        self.client.send_email(
            FromEmailAddress=f"{_SENDER_NAME} <{self.sender}>",
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
                        # It keeps "out of office" answers away.
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


def _error_code(error: ClientError) -> str:
    # The error's message names the recipient.
    return str(error.response["Error"]["Code"])
