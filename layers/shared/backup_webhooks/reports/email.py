"""An e-mail as it is handed to SES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along. `content_type`: its media type; `complete`: whether nothing was left out for its size."""

    name: str
    content_type: str
    content: bytes
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Email:
    """What a recipient gets: the same words in plain text and in HTML."""

    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment] = ()
