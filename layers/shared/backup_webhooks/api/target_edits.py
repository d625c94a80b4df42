"""From what a request says of targets to the targets as they are to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import replace
from typing import Any

from backup_webhooks.api.services import services
from backup_webhooks.api.webhook_models import TargetIn, TargetSettings
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.targets.custom_headers import LONGEST_NAME
from backup_webhooks.targets.store import EventTargets
from backup_webhooks.targets.target import MOST_TARGETS, Target, check_target
from backup_webhooks.targets.webhooks_store import UnknownTarget


def known_target(configuration: EventTargets, target_id: str) -> Target:
    """The event's target with that id. Raises `UnknownTarget`."""
    if target := configuration.find(target_id):
        return target
    raise UnknownTarget(target_id)


def check_new_hosts(seen: EventTargets, wanted: Mapping[str, TargetIn]) -> None:
    """`InvalidTarget`, by the field's prefix, for a URL that is not stored and whose host no target may have.

    All at once: each host may take seconds to look up, and the caller waits for the slowest only.
    """

    def check(prefix: str) -> None:
        target = Target(seen.account, seen.event_type, wanted[prefix].target_uri)
        if seen.find(target.target_id) is None:
            with _named(prefix):
                services().hosts.check(target.url)

    with ThreadPoolExecutor(MOST_TARGETS) as threads:
        list(threads.map(check, wanted))


def edited(seen: EventTargets, wanted: TargetIn, prefix: str = "") -> Target:
    """The target as it is to be. `InvalidTarget` names the field behind the prefix."""
    target = Target(seen.account, seen.event_type, wanted.target_uri)
    with _named(prefix):
        target = with_settings(seen.find(target.target_id) or target, wanted)
        check_target(target)
    return target


def with_settings(target: Target, settings: TargetSettings) -> Target:
    """The target with the settings that are given. Raises `InvalidTarget`."""
    names = ("format", "delivery", "enabled")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if settings.include_log is not None:
        given["include_output"] = settings.include_log
    if settings.noise is not None:
        given["preferences"] = settings.noise.preferences()
    if settings.destination_key is not None or settings.format not in (None, target.format):
        # A key is for one format, and goes with it.
        given["destination_key"] = settings.destination_key
    if settings.headers is not None:
        given["headers"] = {name: _header(target, name, value) for name, value in settings.headers.items()}
    return replace(target, **given)


def _header(target: Target, name: str, value: str | None) -> str:
    if value is not None:
        return value
    # A header's name is the same in upper and lower case.
    stored = {known.lower(): known_value for known, known_value in target.headers.items()}
    if name.lower() not in stored:
        raise InvalidTarget(f"headers[{name[:LONGEST_NAME]!a}]", "null keeps the value that is stored, and none is")
    return stored[name.lower()]


@contextmanager
def _named(prefix: str) -> Iterator[None]:
    """Put the prefix before the field that an `InvalidTarget` names."""
    try:
        yield
    except InvalidTarget as error:
        raise InvalidTarget(prefix + error.field, error.reason) from None
