"""Formats: how an event becomes the body of a POST, which is JSON. A new destination is a module here and in `FORMATS`.

A format's module has the format's name, with `_` for `-`, and holds `FORMAT`. It is imported when the format is first
used, as it may need large modules.
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

# Replaces a destination's key wherever a body is stored or shown.
HIDDEN = "***"


class DestinationKey(Struct, frozen=True):
    """A secret that a destination expects in the body; other destinations have theirs in the URL.

    The target stores it, and each attempt puts it into the body. `field`: the body's field that holds it. `name`: the
    destination's name for it. `pattern`: the regular expression that it must match, which `allowed` puts into words.
    """

    field: str
    name: str
    pattern: str
    allowed: str

    def put_into(self, body: str, key: str) -> bytes:
        """Return the body with the key in it, as it is posted."""
        return msgspec.json.encode(msgspec.json.decode(body) | {self.field: key})


def _accept_any_url(_: str) -> None:
    """Return None: the URLs of most destinations have no known form."""


class Format(Struct, frozen=True):
    """A format: how it renders events, and the properties of its destination.

    `payload`: makes the JSON object of one event, without any key. `grouped`: makes one object, or a list of objects,
    of several events of one type and account; None if the destination needs a POST for each event.
    `list_content_type`: the content type of such a list. `url_problem`: returns why a URL cannot belong to the
    destination, or None if nothing in the URL rules it out. `closes_incidents`: a success or a recovery closes an
    incident at the destination, and so is never suppressed.
    """

    payload: Callable[[Event], Mapping[str, Any]]
    grouped: Callable[[Sequence[Event]], Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None
    content_type: str = "application/json"
    list_content_type: str = "application/json"
    key: DestinationKey | None = None
    url_problem: Callable[[str], str | None] = _accept_any_url
    closes_incidents: bool = False

    def content_type_of(self, body: str) -> str:
        """Return the content type of a body in this format: an object or a list."""
        return self.list_content_type if body.startswith("[") else self.content_type


@cache
def format_named(name: str) -> Format:
    """Return the format of that name. Raise `KeyError` if `FORMATS` lacks it."""
    if name not in FORMATS:
        raise KeyError(name)
    named: Format = import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    return named


def render(format_name: str, event: Event) -> bytes:
    """Return the body to post, UTF-8 JSON with the key hidden. Raise `KeyError` if `FORMATS` lacks the format."""
    chosen = format_named(format_name)
    return _encoded(chosen, chosen.payload(event))


def render_all(format_name: str, events: Sequence[Event]) -> bytes:
    """Return the body for the events of one type and account, as `render` does. A single event is not grouped.

    Raise `ValueError` if there are several events and the format does not group.
    """
    chosen = format_named(format_name)
    if len(events) == 1 or chosen.grouped is None:
        (event,) = events
        return _encoded(chosen, chosen.payload(event))
    return _encoded(chosen, chosen.grouped(events))


def _encoded(chosen: Format, payload: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    if chosen.key and isinstance(payload, Mapping):
        payload = {chosen.key.field: HIDDEN} | dict(payload)
    return msgspec.json.encode(payload)
