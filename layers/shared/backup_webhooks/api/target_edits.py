"""Applies the targets and settings of a request to the stored targets."""

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
from backup_webhooks.targets.store import EventTargets, UnknownTarget
from backup_webhooks.targets.target import MOST_TARGETS, Target, check_target


def known_target(stored: EventTargets, target_id: str) -> Target:
    """Return the target with that id. Raise `UnknownTarget` if there is none."""
    if target := stored.find(target_id):
        return target
    raise UnknownTarget(target_id)


def check_new_hosts(stored: EventTargets, wanted: Mapping[str, TargetIn]) -> None:
    """Raise `InvalidTarget` if a URL that is not stored has a host that no target may have. `wanted`: by field prefix.

    The hosts are looked up at once: each may take seconds, and so the caller waits only for the slowest.
    """

    def check(prefix: str) -> None:
        target = Target(stored.account, stored.event_type, wanted[prefix].target_uri)
        if stored.find(target.target_id) is None:
            with _field_prefix(prefix):
                services().hosts.check(target.url)

    with ThreadPoolExecutor(MOST_TARGETS) as threads:
        list(threads.map(check, wanted))


def edited_target(stored: EventTargets, wanted: TargetIn, prefix: str = "") -> Target:
    """Return the target to store. Raise `InvalidTarget`, with the prefix before the field, if it may not be stored."""
    target = Target(stored.account, stored.event_type, wanted.target_uri)
    with _field_prefix(prefix):
        target = with_settings(stored.find(target.target_id) or target, wanted)
        check_target(target)
    return target


def with_settings(target: Target, settings: TargetSettings) -> Target:
    """Return the target with the given settings. Raise `InvalidTarget` if a header without a value is not stored."""
    names = ("format", "delivery", "enabled")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if settings.include_output is not None:
        given["include_output"] = settings.include_output
    if settings.preferences is not None:
        given["preferences"] = settings.preferences.stored()
    if settings.destination_key is not None or settings.format not in (None, target.format):
        # A key belongs to one format, and is removed with it.
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
def _field_prefix(prefix: str) -> Iterator[None]:
    """Put the prefix before the field that an `InvalidTarget` names."""
    try:
        yield
    except InvalidTarget as error:
        raise InvalidTarget(prefix + error.field, error.reason) from None
