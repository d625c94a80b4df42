"""`python -m local fill`: many servers with a month of results, to see a large account on the running stack."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import batched
from operator import attrgetter
from typing import Any

from backup_webhooks.aws.items import to_item
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.messages import TOLERANCE, EventType, RecordedEvent
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.items import policy_item
from backup_webhooks.posting.sender import AttemptResult
from msgspec.structs import replace

from local.filled_servers import REPORTED, filled_server
from local.servers import ACCOUNT
from local.stack import Stack, running
from local.webhooks import targets_store

_DELIVERIES, _RETENTION = 20, timedelta(days=30)
_MOST_SERVERS, _AT_ONCE, _MOST_WRITTEN, _STEPS = 50_000, 100, 25, 10


def add_commands(commands: Any) -> None:
    """Add the command `fill`."""
    command = commands.add_parser("fill", help="load many servers with a month of results into the running stack")
    command.add_argument("servers", type=_count, help="how many; a second time, the same servers")
    command.add_argument("--account", default=ACCOUNT)
    command.set_defaults(call=lambda options: fill(running(), options.account, options.servers, utc_now()))


def _count(text: str) -> int:
    if not 1 <= (servers := int(text)) <= _MOST_SERVERS:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST_SERVERS:,} is allowed")
    return servers


def fill(stack: Stack, account: str, servers: int, now: datetime) -> int:
    """Store the servers with their month up to now, and print how far it is. Return the exit status."""
    started, backups, recent = time.monotonic(), 0, list[RecordedEvent]()
    writer = _Writer(stack)
    history = BackupsStore(stack.client("dynamodb"), stack.outputs["BackupsTableName"])
    for numbers in batched(range(1, servers + 1), max(servers // _STEPS, _AT_ONCE), strict=False):
        for some in batched(numbers, _AT_ONCE, strict=False):
            made = [filled_server(account, number, now) for number in some]
            events = [event for _, of_server in made for event in of_server]
            # Revision 1, as after a first `save`.
            known = (policy_item(replace(tracked, revision=1)) for tracked, _ in made)
            writer.write(stack.outputs["ServerPoliciesTableName"], known)
            writer.write(history.table, (history.item(_backup(event)) for event in events))
            backups += len(events)
            recent = nlargest(_DELIVERIES, [*recent, *events], attrgetter("occurred_at"))
        print(f"{numbers[-1]:,} of {servers:,} servers, {time.monotonic() - started:.0f} s", flush=True)
    writer.close()
    deliveries = _deliver(stack, account, recent, now)
    print(
        f"Account {account}: {servers:,} servers, {backups:,} backups of {REPORTED.days} days, {deliveries} deliveries"
    )
    print("Their backups end here, so each is reported as missed an hour after its next start.")
    return 0


def _backup(event: RecordedEvent) -> Backup:
    # Recorded when it was known, so that each report counts what its own day knew.
    missed = event.event_type is EventType.MISSING
    return Backup.of(event, event.occurred_at + TOLERANCE if missed else event.occurred_at)


class _Writer:
    """Writes items in another thread, while the next ones are made."""

    def __init__(self, stack: Stack) -> None:
        self._client, self._thread = stack.client("dynamodb"), ThreadPoolExecutor(1)
        self._written: Future[None] = self._thread.submit(lambda: None)

    def write(self, table: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Write the items once those before are written. Raise botocore's errors of those before."""
        requests = [{"PutRequest": {"Item": to_item(item)}} for item in items]
        self._written.result()
        self._written = self._thread.submit(self._put, table, requests)

    def close(self) -> None:
        """Wait until all is written. Raise botocore's errors."""
        self._written.result()
        self._thread.shutdown()

    def _put(self, table: str, requests: list[dict[str, Any]]) -> None:
        for batch in batched(requests, _MOST_WRITTEN, strict=False):
            pending: Any = {table: batch}
            while pending:
                pending = self._client.batch_write_item(RequestItems=pending).get("UnprocessedItems")


def _deliver(stack: Stack, account: str, events: Iterable[RecordedEvent], now: datetime) -> int:
    """Record deliveries of the events to the account's targets, as if they had been made, and return their number."""
    store = DeliveriesStore(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"], _RETENTION)
    targets = targets_store(stack).load(account).targets
    wanted = [(event, target) for event in events for target in targets if event.event_type in target.event_types]
    for event, target in wanted:
        due = AttemptDue.first(Delivery.of(event, target), event.occurred_at)
        claim = store.claim(due, target, now=_backup(event).recorded_at, until=now)
        # It is recorded already if this is done again.
        if isinstance(claim, Claim):
            store.record(claim, AttemptResult(200, None, b"ok", 40), DeliveryState.DELIVERED, None)
    return len(wanted)
