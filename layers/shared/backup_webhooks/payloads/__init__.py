"""Formats: how a notice becomes the body of a POST. A new destination is a new module here, listed in `FORMATS`.

A format's module (its name, with `_` for `-`) has `FORMAT`, and may need much or little: it is imported once the format
is used, and by its name alone it is known before. The body is JSON in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import msgspec
from msgspec import Struct

from backup_webhooks.events.messages import Event

FORMATS = ("text", "detailed", "slack", "teams", "discord", "google-chat", "pagerduty", "ntfy", "cloudevents")


# What stands in the place of a destination's key wherever a body is stored or shown.
HIDDEN = "***"


class DestinationKey(Struct, frozen=True):
    """A secret that a destination wants in the body, where others have it in the URL.

    It is kept with the target, and put in when an attempt is made. `field`: where it stands; `called`: in words;
    `pattern`: all that it may be, which `allowed` says.
    """

    field: str
    called: str
    pattern: str
    allowed: str

    def put_into(self, body: str, key: str) -> bytes:
        """The body as it is posted."""
        return msgspec.json.encode(msgspec.json.decode(body) | {self.field: key})


def _any_url(_: str) -> None:
    """Most destinations have URLs of which nothing is known here."""


class Format(Struct, frozen=True):
    """What a format's module says of it.

    `payload`: the JSON object that a notice becomes, without any key. `grouped`: what several notices of one event and
    account become, an object or a list of them; None where each has to be told by itself. `list_content_type`: of such
    a list. `url_trouble`: why a URL can't be one of the destination's, as far as it can be told from the URL; None
    where nothing speaks against it. `closes_incidents`: whether good news does that, and so must not be kept from it
    for the sake of quiet.
    """

    payload: Callable[[Event], Mapping[str, Any]]
    grouped: Callable[[Sequence[Event]], Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None
    content_type: str = "application/json"
    list_content_type: str = "application/json"
    key: DestinationKey | None = None
    url_trouble: Callable[[str], str | None] = _any_url
    closes_incidents: bool = False

    def content_type_of(self, body: str) -> str:
        """The content type of a body in this format."""
        return self.list_content_type if body.startswith("[") else self.content_type


@cache
def format_named(name: str) -> Format:
    """The format of that name. A `KeyError` for one that is not in `FORMATS`."""
    if name not in FORMATS:
        raise KeyError(name)
    found: Format = import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    return found


def render(format_name: str, event: Event) -> bytes:
    """The body to post, UTF-8 JSON, with its key hidden. A `KeyError` for a format that is not in `FORMATS`."""
    found = format_named(format_name)
    return _encoded(found, found.payload(event))


def render_all(format_name: str, events: Sequence[Event]) -> bytes:
    """The body for several notices of one event and account, as `render` makes one's; a single one is told as ever."""
    found = format_named(format_name)
    if len(events) == 1 or found.grouped is None:
        (event,) = events
        return _encoded(found, found.payload(event))
    return _encoded(found, found.grouped(events))


def _encoded(found: Format, payload: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    if found.key and isinstance(payload, Mapping):
        payload = {found.key.field: HIDDEN} | dict(payload)
    return msgspec.json.encode(payload)
