"""An e-mail before it is handed to SES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file. `content_type`: its media type; `complete`: False if rows were left out to limit its size."""

    name: str
    content_type: str
    content: bytes
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail to one recipient: the same words in plain text and in HTML."""

    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment] = ()
