"""`python -m local deliveries` and `replay`: the delivery log of the running stack, and attempts anew."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from functools import partial
from typing import Any

from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.deliveries.replays import Replays, UnknownDelivery
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.events.timestamps import utc_now

from local.stack import Stack, running
from local.text import moment_argument, print_table


def add_commands(commands: Any) -> None:
    """`deliveries`, `replay delivery|failed|dead-letters`."""
    log = commands.add_parser("deliveries", help="an account's delivery log on the running stack")
    log.add_argument("account")
    _add_since(log)
    log.set_defaults(call=_list)

    verbs = commands.add_parser("replay", help="attempt deliveries of the running stack anew").add_subparsers(
        required=True, metavar="verb"
    )
    one = verbs.add_parser("delivery", help="one delivery, whatever came of it")
    one.add_argument("account")
    one.add_argument("key", help="as `deliveries` shows it")
    one.set_defaults(call=_replay_one)
    failed = verbs.add_parser("failed", help="an account's failed deliveries")
    failed.add_argument("account")
    _add_since(failed)
    failed.set_defaults(call=_replay_failed)
    dead = verbs.add_parser("dead-letters", help="all deliveries whose last retry failed")
    dead.set_defaults(call=_replay_dead_letters)


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=moment_argument,
        default=utc_now() - timedelta(days=1),
        help="events from then on, such as 2018-12-20T00:00:00Z (default: of the last day)",
    )


def replays(stack: Stack) -> Replays:
    """Replays on the stack."""
    return Replays(
        log=DeliveryLog(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"]),
        retry_queue=RetryQueue(stack.client("sqs"), stack.outputs["RetryQueueUrl"]),
    )


def _list(options: argparse.Namespace) -> int:
    print_table(
        ("STATE", "ATTEMPTS", "STATUS", "MS", "REASON", "DELIVERY"),
        [
            (
                logged.standing.state,
                logged.standing.attempts,
                logged.status,
                logged.milliseconds,
                logged.reason,
                logged.delivery.sort_key,
            )
            for logged in replays(running()).log.of_account(options.account, options.since, utc_now())
        ],
    )
    return 0


def _replay_one(options: argparse.Namespace) -> int:
    try:
        replays(running()).one(options.account, options.key)
    except UnknownDelivery:
        print("The log has no such delivery: see `deliveries`.", file=sys.stderr)
        return 1
    return _say(1)


def _replay_failed(options: argparse.Namespace) -> int:
    of_account, count, cursor = partial(replays(running()).undelivered_since, options.account, options.since), 0, None
    while True:
        replayed = of_account(cursor)
        count, cursor = count + replayed.count, replayed.cursor
        if cursor is None:
            return _say(count)


def _replay_dead_letters(_: argparse.Namespace) -> int:
    stack = running()
    dead_letters = RetryQueue(stack.client("sqs"), stack.outputs["RetryDeadLetterQueueUrl"])
    return _say(dead_letters.move_all_to(replays(stack).retry_queue, utc_now()))


def _say(count: int) -> int:
    print(f"{count} to be attempted anew")
    return 0
