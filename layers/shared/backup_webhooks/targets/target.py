"""Targets: a customer's URL for one event type, with its settings, and the check of these."""

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

# For each event type.
MOST_TARGETS = 5


class DeliveryMode(StrEnum):
    """How often a delivery is attempted: once, as the FAQ says, or again after failures (opt-in)."""

    ONCE = "once"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Target:
    """One URL that one account has set for one event type, with its settings.

    The service itself writes `secrets` (the newest first) and `health`, through methods of `TargetsStore`. No `repr`
    shows the URL, key, headers and secrets: they may give access to other systems. `destination_key`: the secret that
    the format needs beside the URL (`payloads.DestinationKey`), if any. `include_output`: whether the backup output is
    posted, if the format has a place for it.
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
        """Return 16 hexadecimal digits, the same for the same URL: an event type cannot have a URL twice."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]


def check_target(target: Target) -> None:
    """Raise `InvalidTarget` for an invalid setting. The addresses of the URL's host are checked when it is dialled."""
    parse_target_url(target.url)
    if target.format not in FORMATS:
        raise InvalidTarget("format", f"allowed: {', '.join(FORMATS)}")
    if problem := format_named(target.format).url_problem(target.url):
        raise InvalidTarget("targetUri", problem)
    if target.preferences.group and not format_named(target.format).grouped:
        raise InvalidTarget(
            "preferences.group", f"not allowed with the format {target.format}, which sends each event by itself"
        )
    _check_key(target)
    check_headers(target.headers)
    check_preferences(target.preferences, target.event_type)


def _check_key(target: Target) -> None:
    # The error never holds the key, which is a secret.
    wanted = format_named(target.format).key
    if wanted is None:
        if target.destination_key is not None:
            raise InvalidTarget("destinationKey", f"not allowed with the format {target.format}, which needs none")
    elif target.destination_key is None:
        raise InvalidTarget(
            "destinationKey", f"required with the format {target.format}: the {wanted.name}, {wanted.allowed}"
        )
    elif not re.fullmatch(wanted.pattern, target.destination_key):
        raise InvalidTarget("destinationKey", f"the {wanted.name} is {wanted.allowed}")
