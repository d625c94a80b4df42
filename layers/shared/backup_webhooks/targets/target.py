"""Targets: where a customer wants an event's notifications posted, and which URLs may be one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.payloads import FORMATS, format_named
from backup_webhooks.posting.target_url import parse_target_url
from backup_webhooks.targets.custom_headers import check_headers
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.preferences import Preferences, check_preferences
from backup_webhooks.targets.signing import SigningSecret

# Of one event.
MOST_TARGETS = 5


class DeliveryMode(StrEnum):
    """How often a delivery is attempted: once, as the FAQ promises, or again after a failure (opt-in)."""

    ONCE = "once"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Target:
    """One URL that one account has set for one event, with its settings.

    What a customer sets comes first; `secrets` (the newest first) and `health` are kept by us, through
    `WebhooksStore`'s own methods. URL, key, headers and secrets may let their reader in elsewhere: no `repr` shows
    them. `destination_key`: what the format needs beside the URL (`payloads.DestinationKey`), if anything.
    `include_output`: whether what a backup said of itself is posted, where the format has a place for it.
    """

    account: str
    event_type: EventType
    url: str = field(repr=False)
    format: str = "text"
    delivery: DeliveryMode = DeliveryMode.ONCE
    enabled: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    preferences: Preferences = field(default_factory=Preferences)
    destination_key: str | None = field(default=None, repr=False)
    include_output: bool = False
    secrets: Sequence[SigningSecret] = field(default=(), repr=False)
    health: Health = field(default_factory=Health)

    @property
    def target_id(self) -> str:
        """16 hexadecimal digits: the same for the same URL, so that an event can't hold a URL twice."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]


def check_target(target: Target) -> None:
    """`InvalidTarget` for a setting that can't be stored. Where the URL leads is judged when it is dialled."""
    parse_target_url(target.url)
    if target.format not in FORMATS:
        raise InvalidTarget("format", f"allowed: {', '.join(FORMATS)}")
    if trouble := format_named(target.format).url_trouble(target.url):
        raise InvalidTarget("targetUri", trouble)
    if target.preferences.gather and not format_named(target.format).grouped:
        raise InvalidTarget(
            "noise.gather", f"not allowed with the format {target.format}, which tells of each by itself"
        )
    _check_key(target)
    check_headers(target.headers)
    check_preferences(target.preferences, target.event_type)


def _check_key(target: Target) -> None:
    # Never the key itself: it is a secret.
    wanted = format_named(target.format).key
    if wanted is None:
        if target.destination_key is not None:
            raise InvalidTarget("destinationKey", f"not allowed with the format {target.format}, which needs none")
    elif target.destination_key is None:
        raise InvalidTarget(
            "destinationKey", f"required with the format {target.format}: the {wanted.called}, {wanted.allowed}"
        )
    elif not re.fullmatch(wanted.pattern, target.destination_key):
        raise InvalidTarget("destinationKey", f"the {wanted.called} is {wanted.allowed}")
