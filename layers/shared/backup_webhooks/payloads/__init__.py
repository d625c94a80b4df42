"""Formats: how a notice becomes the body of a POST. A new destination is a new module here, listed in `FORMATS`.

A format's module (its name, with `_` for `-`) has `FORMAT`, and may need much or little: it is imported once the format
is used, and by its name alone it is known before. The body is JSON in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from backup_webhooks.messages import Notice

FORMATS = ("text", "detailed", "slack", "teams", "discord", "google-chat", "cloudevents")


@dataclass(frozen=True, slots=True)
class Format:
    """What a format's module says of it. `payload`: the JSON object that a notice becomes."""

    payload: Callable[[Notice], Mapping[str, Any]]
    content_type: str = "application/json"


@cache
def format_named(name: str) -> Format:
    """The format of that name. A `KeyError` for one that is not in `FORMATS`."""
    if name not in FORMATS:
        raise KeyError(name)
    found: Format = import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    return found


def render(format_name: str, notice: Notice) -> bytes:
    """The body to post, UTF-8 JSON. A `KeyError` for a format that is not in `FORMATS`."""
    return msgspec.json.encode(format_named(format_name).payload(notice))
