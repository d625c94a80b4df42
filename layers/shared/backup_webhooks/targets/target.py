"""Targets: a customer's URL with the event types that are posted to it, its settings, and the check of these."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import token_hex

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import Event, EventType
from backup_webhooks.payloads import FORMATS, format_named
from backup_webhooks.posting.target_url import parse_target_url
from backup_webhooks.targets.custom_headers import check_headers
from backup_webhooks.targets.event_filter import EventFilter
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.preferences import Preferences, check_preferences
from backup_webhooks.targets.signing import SigningSecret

# Of an account, whatever their event types; and the most that an event is posted to.
MOST_TARGETS = 25


class DeliveryMode(StrEnum):
    """How often a delivery is attempted: once, as the FAQ says, or again after failures (opt-in)."""

    ONCE = "once"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Target:
    """One URL of an account, with the event types that are posted to it, and its settings.

    `target_id`: 16 hexadecimal digits. `event_types`: at least one, each once, in the order of `EventType`.
    `recursive`: whether events of the accounts below this one are posted too. No `repr` shows the URL, key, headers and
    secrets: they may give access to other systems. `destination_key`: the secret that the format needs beside the URL
    (`payloads.DestinationKey`), if any. `include_output`: whether the backup output is posted, if the format has a
    place for it. `TargetsStore` itself writes `secrets` (the newest first), `health`, and `revision`: the account's at
    the last change of the settings. `begun`: the revision at which it was made, was switched on, or got its URL. What
    was sent before is not known there.
    """

    account: str
    event_types: Sequence[EventType]
    url: str = field(repr=False)
    target_id: str = field(default_factory=lambda: token_hex(8))
    filter: EventFilter = field(default_factory=EventFilter)
    recursive: bool = False
    format: str = "text"
    delivery: DeliveryMode = DeliveryMode.ONCE
    enabled: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    preferences: Preferences = field(default_factory=Preferences)
    destination_key: str | None = field(default=None, repr=False)
    include_output: bool = False
    secrets: Sequence[SigningSecret] = field(default=(), repr=False)
    health: Health = field(default_factory=Health)
    revision: int = 0
    begun: int = 0

    def wants(self, event: Event) -> bool:
        """Return whether an event of the account, or of an account below it, is to be posted to the target."""
        own = event.account_alias == self.account
        return (
            self.enabled
            and (own or self.recursive)
            and event.event_type in self.event_types
            and self.filter.passes(event)
        )


def ordered(event_types: Collection[EventType]) -> tuple[EventType, ...]:
    """Return the event types, each once, in the order of `EventType`."""
    return tuple(event_type for event_type in EventType if event_type in event_types)


def check_target(target: Target) -> None:
    """Raise `InvalidTarget` for an invalid setting. The addresses of the URL's host are checked when it is dialled."""
    parse_target_url(target.url)
    if not target.event_types:
        raise InvalidTarget("events", f"at least one is required; allowed: {', '.join(EventType)}")
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
    check_preferences(target.preferences, target.event_types)


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
