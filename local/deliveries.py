"""`python -m local deliveries` and `replay`: the delivery log of the running stack, and replays."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery_log import DeliveryLog, DeliveryRecord
from backup_webhooks.deliveries.replays import Replays, UnknownDelivery
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.settlements_store import SettlementsStore
from backup_webhooks.events.timestamps import utc_now

from local.dead_letters import move_all
from local.stack import Stack, running
from local.text import print_table, timestamp_argument

_PAGE = 100


def add_commands(commands: Any) -> None:
    """Add the commands `deliveries` and `replay delivery|failed|dead-letters`."""
    log = commands.add_parser("deliveries", help="an account's delivery log on the running stack")
    log.add_argument("account")
    _add_since(log)
    log.set_defaults(call=_list)

    verbs = commands.add_parser("replay", help="attempt deliveries of the running stack anew").add_subparsers(
        required=True, metavar="verb"
    )
    delivery = verbs.add_parser("delivery", help="one delivery, in any state")
    delivery.add_argument("account")
    delivery.add_argument("key", help="as `deliveries` shows it")
    delivery.set_defaults(call=_replay_one)
    failed = verbs.add_parser("failed", help="an account's failed deliveries")
    failed.add_argument("account")
    _add_since(failed)
    failed.set_defaults(call=_replay_failed)
    dead = verbs.add_parser("dead-letters", help="all deliveries whose last retry failed")
    dead.set_defaults(call=_replay_dead_letters)


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=timestamp_argument,
        default=utc_now() - timedelta(days=1),
        help="events from then on, such as 2018-12-20T00:00:00Z (default: of the last day)",
    )


def replays(stack: Stack) -> Replays:
    """Return the stack's replays."""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["DeliveriesTableName"]
    return Replays(
        log=DeliveryLog(dynamodb, table),
        # A replay leaves the time of expiry as it is.
        settlements=SettlementsStore(DeliveriesStore(dynamodb, table, retention=timedelta())),
        retry_queue=RetryQueue(stack.client("sqs"), stack.outputs["RetryQueueUrl"]),
    )


def _list(options: argparse.Namespace) -> int:
    rows = [
        (
            record.recorded.state,
            record.recorded.attempts,
            record.status,
            record.milliseconds,
            record.reason,
            record.delivery.sort_key,
        )
        for record in _records(replays(running()).log, options.account, options.since)
    ]
    print_table(("STATE", "ATTEMPTS", "STATUS", "MS", "REASON", "DELIVERY"), rows[::-1])
    return 0


def _records(log: DeliveryLog, account: str, since: datetime) -> Iterator[DeliveryRecord]:
    """Yield the account's records of events since then, the latest first."""
    until, cursor = utc_now(), None
    while True:
        page = log.page(account, since=since, until=until, limit=_PAGE, cursor=cursor)
        yield from page.records
        if (cursor := page.cursor) is None:
            return


def _replay_one(options: argparse.Namespace) -> int:
    try:
        replays(running()).one(options.account, options.key)
    except UnknownDelivery:
        print("The log has no such delivery: see `deliveries`.", file=sys.stderr)
        return 1
    return _print_count(1)


def _replay_failed(options: argparse.Namespace) -> int:
    of_account, count, cursor = partial(replays(running()).undelivered_since, options.account, options.since), 0, None
    while True:
        replayed = of_account(cursor)
        count, cursor = count + replayed.count, replayed.cursor
        if cursor is None:
            return _print_count(count)


def _replay_dead_letters(_: argparse.Namespace) -> int:
    stack = running()
    dead_letter_queue = RetryQueue(stack.client("sqs"), stack.outputs["RetryDeadLetterQueueUrl"])
    return _print_count(move_all(dead_letter_queue, replays(stack).retry_queue, utc_now()))


def _print_count(count: int) -> int:
    print(f"{count} to be attempted anew")
    return 0
