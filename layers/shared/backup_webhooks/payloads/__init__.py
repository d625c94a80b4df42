"""Formats: how a notice becomes the JSON body of a POST. A new destination is a new module here.

A format's module has one function, `payload(notice)`, that answers with a JSON object; it is listed in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from backup_webhooks.messages import Notice
from backup_webhooks.payloads import detailed, text

FORMATS: Mapping[str, Callable[[Notice], Mapping[str, str | int]]] = {
    "text": text.payload,
    "detailed": detailed.payload,
}


def render(format_name: str, notice: Notice) -> bytes:
    """The body to post, UTF-8 JSON. A `KeyError` for a format that is not in `FORMATS`."""
    return msgspec.json.encode(FORMATS[format_name](notice))
