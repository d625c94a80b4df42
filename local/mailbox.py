"""A stand-in for SES (API v2) for the local stack and the tests, which keeps e-mail as files for a mail program.

moto's SES loses attachments, headers and the plain text.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from local.receiver import Answer, Post, Receiver

_SEND = "/v2/email/outbound-emails"
_LARGEST = 40 * 1024 * 1024
_LONGEST_HEADER = 870


@dataclass(frozen=True)
class Mail:
    """A message as a recipient gets it. `attachments`: content by file name."""

    sender: str
    to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    attachments: Mapping[str, bytes]

    def message(self) -> EmailMessage:
        """Return the e-mail as a mail program reads it."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, self.to, self.subject
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text)
        message.add_alternative(self.html, subtype="html")
        for name, content in self.attachments.items():
            message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        return message


@dataclass
class Mailbox:
    """The e-mail of all addresses. `refuse`, `throttle`: whether SES refuses or throttles an e-mail.

    `folder`: each e-mail is written there too, as an `.eml` file.
    """

    refuse: Callable[[Mail], bool] = lambda mail: False
    throttle: Callable[[Mail], bool] = lambda mail: False
    folder: Path | None = None
    on_mail: Callable[[Mail], None] = lambda mail: None
    host: str = "127.0.0.1"
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._receiver = Receiver(self._answer, self.host, self.port)
        self.url = self._receiver.url

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.__exit__()

    def of(self, address: str) -> list[Mail]:
        """Return the e-mail for that address, the oldest first."""
        return [mail for mail in self.mails if mail.to == address]

    def _answer(self, post: Post) -> Answer:
        if post.path != _SEND:
            return _error(404, "NotFoundException", "only SendEmail is known here")
        request = json.loads(post.body)
        mail = _mail(request)
        if reason := _refusal_reason(mail, len(post.body)):
            return _error(400, "BadRequestException", reason)
        if self.throttle(mail):
            return _error(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        if self.refuse(mail):
            return _error(400, "MessageRejected", f"Email address is not verified. These identities failed: {mail.to}")
        with self._lock:
            self.mails.append(mail)
            if self.folder:
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / f"{time.time():.3f}.eml").write_bytes(mail.message().as_bytes())
        self.on_mail(mail)
        return 200, {"content-type": "application/json"}, json.dumps({"MessageId": str(uuid.uuid4())}).encode()


def _mail(request: dict[str, Any]) -> Mail:
    content = request["Content"]["Simple"]
    (to,) = request["Destination"]["ToAddresses"]
    return Mail(
        sender=request["FromEmailAddress"],
        to=to,
        subject=content["Subject"]["Data"],
        text=content["Body"]["Text"]["Data"],
        html=content["Body"]["Html"]["Data"],
        headers={header["Name"]: header["Value"] for header in content.get("Headers", [])},
        attachments={
            attachment["FileName"]: base64.b64decode(attachment["RawContent"])
            for attachment in content.get("Attachments", [])
        },
    )


def _refusal_reason(mail: Mail, size: int) -> str | None:
    """Return the reason why SES would refuse the e-mail, or None. `size`: in bytes."""
    if size > _LARGEST:
        return "the message is larger than 40 MB"
    if "\n" in mail.subject or "\r" in mail.subject:
        return "a subject is one line"
    for name, value in mail.headers.items():
        if len(value) > _LONGEST_HEADER or not re.fullmatch(r"[\x20-\x7e]+", value):
            return f"the header {name} is too long, or not printable ASCII"
    return None


def _error(status: int, kind: str, message: str) -> Answer:
    return status, {"x-amzn-errortype": kind}, json.dumps({"message": message}).encode()
