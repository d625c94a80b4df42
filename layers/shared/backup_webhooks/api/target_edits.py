"""Applies the targets and settings of a request to the stored targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import replace
from typing import Any

from backup_webhooks.api.models import expected_version
from backup_webhooks.api.services import services
from backup_webhooks.api.webhook_models import MOST_OF_AN_EVENT, TargetChanges, TargetIn, TargetSettings
from backup_webhooks.aws.errors import Changed
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.posting.target_url import normalised, parse_target_url
from backup_webhooks.targets.custom_headers import LONGEST_NAME
from backup_webhooks.targets.store import AccountTargets, UnknownTarget, version_of
from backup_webhooks.targets.target import Target, check_target


def etag_of(targets: Iterable[Target]) -> str:
    """Return the targets' ETag."""
    return f'"{version_of(targets)}"'


def check_unchanged(targets: Sequence[Target], if_match: str | None) -> None:
    """Raise `Changed` if the request's `If-Match` stands for other targets."""
    if expected_version(if_match) not in (None, version_of(targets)):
        raise Changed


def known_target(stored: AccountTargets, target_id: str, event: EventType | None = None) -> Target:
    """Return the target with that id. Raise `UnknownTarget` if there is none, or none that names the event type."""
    target = stored.find(target_id)
    if target is None or (event and event not in target.event_types):
        raise UnknownTarget(target_id)
    return target


def check_new_hosts(stored: AccountTargets, wanted: Mapping[str, str]) -> None:
    """Raise `InvalidTarget` if a URL that is not stored has a host that no target may have. `wanted`: by field prefix.

    The hosts are looked up at once: each may take seconds, and so the caller waits only for the slowest.
    """
    known = {target.url for target in stored.targets}

    def check(prefix: str) -> None:
        with _field_prefix(prefix):
            if (url := normalised(wanted[prefix])) not in known:
                services().hosts.check(url)

    with ThreadPoolExecutor(MOST_OF_AN_EVENT) as threads:
        list(threads.map(check, wanted))


def put_into_event(
    stored: AccountTargets, event: EventType, wanted: Mapping[str, TargetIn], *, alone: bool = False
) -> Sequence[Target]:
    """Return the account's targets with these, which get the event type. `wanted`: by field prefix.

    `alone`: all others lose the event type. Raise `InvalidTarget`, with the prefix before the field.
    """
    put = [_named_target(stored, event, target, prefix) for prefix, target in wanted.items()]
    ids = {target.target_id for target in put}
    if len({target.url for target in put}) < len(put):
        raise InvalidTarget("targetUris", "the same targetUri is given twice")
    others = [target for target in stored.targets if target.target_id not in ids]
    targets = [*put, *(without_event(others, event) if alone else others)]
    count = sum(event in target.event_types for target in targets)
    if count > max(MOST_OF_AN_EVENT, len(stored.of_event(event))):
        raise InvalidTarget("targetUris", f"at most {MOST_OF_AN_EVENT} targets an event are allowed here")
    return targets


def without_event(targets: Iterable[Target], event: EventType) -> Sequence[Target]:
    """Return the targets without the event type. One that names no other is removed."""
    left = [replace(target, event_types=[one for one in target.event_types if one != event]) for target in targets]
    return [target for target in left if target.event_types]


def _named_target(stored: AccountTargets, event: EventType, wanted: TargetIn, prefix: str) -> Target:
    with _field_prefix(prefix):
        url = normalised(wanted.target_uri)
        target = stored.with_url(url, [event]) or stored.with_url(url, list(EventType))
        target = target or Target(stored.account, [], url)
        target = with_settings(replace(target, event_types=[*target.event_types, event]), wanted)
        check_target(target)
    return target


def changed(target: Target, changes: TargetChanges) -> Target:
    """Return the target with the changes. Raise `InvalidTarget` for one that is not possible."""
    if changes.target_uri is not None:
        target = _moved(target, changes, normalised(changes.target_uri))
    if changes.events is not None:
        target = replace(target, event_types=changes.events)
    return with_settings(target, changes)


def _moved(target: Target, changes: TargetChanges, url: str) -> Target:
    before, after = parse_target_url(target.url), parse_target_url(url)
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return replace(target, url=url)
    if target.headers and changes.headers is None:
        raise InvalidTarget("headers", "must be given again, as targetUri has another host; {} removes them")
    return replace(target, url=url, headers={}, destination_key=None)


def with_settings(target: Target, settings: TargetSettings) -> Target:
    """Return the target with the given settings. Raise `InvalidTarget` if a header without a value is not stored."""
    names = ("format", "delivery", "enabled", "recursive")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if settings.include_output is not None:
        given["include_output"] = settings.include_output
    if settings.filter is not None:
        given["filter"] = settings.filter.stored()
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
