"""`python -m local webhook`: targets of the running stack."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.payloads import FORMATS
from backup_webhooks.targets.signing import OVERLAP, TooManySecrets
from backup_webhooks.targets.store import TargetsStore, UnknownTarget
from backup_webhooks.targets.target import DeliveryMode, Target, check_target

from local.stack import Stack, running
from local.targets import save_target
from local.text import print_table


def targets_store(stack: Stack) -> TargetsStore:
    """Return the store of the stack's targets."""
    return TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


def add_commands(commands: Any) -> None:
    """Add the commands `webhook set|list|rotate|remove`."""
    verbs = commands.add_parser("webhook", help="webhooks of the running stack").add_subparsers(
        required=True, metavar="verb"
    )
    put = verbs.add_parser("set", help="set a target URL for events of an account")
    put.add_argument("account")
    put.add_argument("events", type=_event_types, help="one or several, with commas between them")
    put.add_argument("url")
    put.add_argument("--format", choices=FORMATS, default="text")
    put.add_argument("--destination-key", help="the key that the format needs beside the URL, such as PagerDuty's")
    put.add_argument("--delivery", choices=[str(mode) for mode in DeliveryMode], default="once")
    put.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="sent with each post")
    put.add_argument("--off", action="store_true", help="keep it, and post nothing")
    put.set_defaults(call=_set)

    listing = verbs.add_parser("list", help="an account's targets, and how they answer")
    listing.add_argument("account")
    listing.set_defaults(call=_list)

    rotate = verbs.add_parser("rotate", help="give a target a new signing secret")
    _add_target(rotate)
    rotate.add_argument(
        "--overlap-hours",
        type=_overlap_hours,
        default=OVERLAP / timedelta(hours=1),
        help="how long the old secret signs too (0 to 168)",
    )
    rotate.set_defaults(call=_rotate)

    remove = verbs.add_parser("remove", help="remove a target")
    _add_target(remove)
    remove.set_defaults(call=_remove)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account")
    parser.add_argument("target_id", help="as `list` shows it")


def _event_types(text: str) -> Sequence[EventType]:
    try:
        return [EventType(event) for event in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"allowed: {', '.join(EventType)}") from None


def _overlap_hours(text: str) -> float:
    if not math.isfinite(hours := float(text)):
        raise argparse.ArgumentTypeError("a number of hours is allowed")
    return hours


def _set(options: argparse.Namespace) -> int:
    target = Target(
        options.account,
        options.events,
        options.url,
        format=options.format,
        destination_key=options.destination_key,
        delivery=DeliveryMode(options.delivery),
        enabled=not options.off,
        headers={name.strip(): value.strip() for name, _, value in (text.partition(":") for text in options.header)},
    )
    try:
        check_target(target)
        secret = save_target(targets_store(running()), target)
    except InvalidTarget as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{', '.join(options.events)} of {options.account} goes to {options.url} (within 30 s)")
    if secret:
        print(f"signing secret, shown this once: {secret.value}")
    return 0


def _list(options: argparse.Namespace) -> int:
    rows = []
    for target in targets_store(running()).load(options.account).targets:
        enabled = "yes" if target.enabled else "no"
        events = ",".join(target.event_types)
        rows.append((target.target_id, enabled, target.format, target.delivery, _health(target), target.url, events))
    print_table(("ID", "ON", "FORMAT", "DELIVERY", "HEALTH", "URL", "EVENTS"), rows)
    return 0


def _health(target: Target) -> str:
    health = target.health
    if health.switched_off_reason:
        return f"switched off: {health.switched_off_reason}"
    if health.consecutive_failures:
        return f"{health.consecutive_failures} failures since {health.failing_since:%m-%d %H:%M}: {health.last_reason}"
    return "slow" if health.slow else "good"


def _rotate(options: argparse.Namespace) -> int:
    store = targets_store(running())
    if (target := store.load(options.account).find(options.target_id)) is None:
        return _unknown()
    try:
        secret = store.rotate_secret(target, utc_now(), timedelta(hours=options.overlap_hours))
    except UnknownTarget:
        return _unknown()
    except Conflict:
        print("Another request has rotated it at the same time.", file=sys.stderr)
        return 1
    except (InvalidTarget, TooManySecrets) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"signing secret, shown this once: {secret.value}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    store = targets_store(running())
    if (target := store.load(options.account).find(options.target_id)) is None:
        return _unknown()
    store.change(options.account, lambda seen: seen.without(options.target_id))
    print(f"{options.account} no longer posts to {target.url} (within 30 s)")
    return 0


def _unknown() -> int:
    print("There is no such target: see `webhook list`.", file=sys.stderr)
    return 1
