"""What became of messages: whether the notifier has handled them, and each delivery that it has made of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery_log import DeliveryLog, DeliveryRecord
from backup_webhooks.events.messages import (
    AccountChanged,
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    Event,
    Heartbeat,
    Message,
    ServerPolicyChanged,
)
from backup_webhooks.targets.target import Target

from local.stack import Stack, log_file
from local.webhooks import targets_store

_LOOK_SECONDS = 0.1
_MOST_TARGETS = 100
_UNSETTLED = (DeliveryState.CLAIMED, DeliveryState.RETRYING)


@dataclass(frozen=True)
class Sent:
    """A message on BackupEventsQueue. `sent_at`: shortly before it was sent."""

    message: Message
    sent_at: datetime
    message_id: str


def print_outcomes(stack: Stack, sent: Sequence[Sent], ends: Path, read_from: int, seconds: float) -> bool:
    """Print the outcome of each message, at the latest after so many seconds. Return whether each was handled.

    `ends`: the file in which the queue's pollers note the end of each message, read from that position on.
    """
    give_up = time.monotonic() + seconds
    handled: Mapping[str, bool] = {}
    while not all(one.message_id in handled for one in sent) and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        handled = _ended(ends, read_from)
    for one in sent:
        print(f"{_title(one.message)}: {_record(one, handled.get(one.message_id), seconds)}", flush=True)
        if handled.get(one.message_id) and (event := _event(one.message)):
            for line in _deliveries(stack, event, one.sent_at, give_up):
                print(f"  {line}", flush=True)
    return all(handled.get(one.message_id) for one in sent)


def _ended(ends: Path, read_from: int) -> Mapping[str, bool]:
    if not ends.exists():
        return {}
    with ends.open() as lines:
        lines.seek(read_from)
        words = [line.split() for line in lines]
    return {message_id: word == "handled" for message_id, word in words}


def _title(message: Message) -> str:
    kind = type(message).__name__
    match message:
        case Heartbeat():
            return kind
        case AccountChanged():
            return f"{kind} of {message.account_alias}"
        case ServerPolicyChanged(clc_account_alias=account):
            return f"{kind} of {account}, {message.server_id}"
        case BackupFinished(restore_point_creation_status=status):
            return f"{kind} {status} of {message.account_alias}, {message.server_id}"
    return f"{kind} of {message.account_alias}, {message.server_id}"


def _record(sent: Sent, handled: bool | None, seconds: float) -> str:
    log = log_file("NotifierFunction")
    if handled is None:
        return f"not handled within {seconds:g} s: see {log}"
    if not handled:
        reason = _logged_reason(log, sent.message_id) or f"see {log}"
        return f"not handled: {reason}. SQS delivers it again, and moves it to BackupEventsDeadLetterQueue in the end"
    return "handled" if isinstance(sent.message, BackupRecovered) else "recorded"


def _logged_reason(log: Path, message_id: str) -> str | None:
    if not log.exists():
        return None
    lines = [json.loads(line) for line in log.read_text().splitlines() if message_id in line and line.startswith("{")]
    return next((str(line["reason"]) for line in reversed(lines) if "reason" in line), None)


def _event(message: Message) -> Event | None:
    if isinstance(message, BackupFinished | BackupMissed | BackupRecovered) and message.event_type:
        return message
    return None


def _deliveries(stack: Stack, event: Event, sent_at: datetime, give_up: float) -> Iterator[str]:
    """Yield a line for each delivery of the event, once no attempt is to come, or it is time to give up."""
    log = DeliveryLog(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"])
    targets = [target for target in targets_store(stack).load(event.account_alias).targets if target.wants(event)]
    while True:
        records = _records(log, event)
        deferred = _deferred(targets, records)
        if not deferred and not any(record.recorded.state in _UNSETTLED for record in records):
            break
        if time.monotonic() >= give_up:
            break
        time.sleep(_LOOK_SECONDS)
    hosts = {target.target_id: _host(target.url) for target in targets}
    for record in records:
        yield _line(record, _host(record.url) if record.url else hosts.get(record.delivery.target_id, "?"), sent_at)
    for target in deferred:
        yield f"deferred for {_host(target.url)}: its circuit is open, the retry queue has the delivery"
    if not records and not deferred:
        yield f"no target: {event.account_alias} has none for {event.event_type}, or has set it within 30 s"


def _records(log: DeliveryLog, event: Event) -> list[DeliveryRecord]:
    page = log.page(
        event.account_alias,
        since=event.occurred_at,
        until=event.occurred_at,
        limit=_MOST_TARGETS,
        event_type=event.event_type,
    )
    return [record for record in page.records if record.delivery.subject_id == event.subject_id]


def _deferred(targets: Sequence[Target], records: Sequence[DeliveryRecord]) -> list[Target]:
    known = {record.delivery.target_id for record in records}
    return [target for target in targets if target.health.circuit_open and target.target_id not in known]


def _line(record: DeliveryRecord, host: str, sent_at: datetime) -> str:
    before = ""
    if record.claimed_at and record.claimed_at < sent_at:
        before = f" before, at {record.claimed_at:%Y-%m-%d %H:%M:%S} UTC"
    match record.recorded.state:
        case DeliveryState.DELIVERED:
            return f"posted to {host}{before}: {record.status}"
        case DeliveryState.SUPPRESSED:
            return f"suppressed for {host}: {record.reason}"
        case DeliveryState.GROUPED:
            return f"grouped for {host}: {record.reason}"
        case DeliveryState.CLAIMED:
            return f"not delivered to {host}{before}: an attempt is being made"
        case DeliveryState.RETRYING:
            following = f"to be retried at {record.recorded.retry_at:%H:%M:%S} UTC"
        case DeliveryState.EXHAUSTED:
            following = f"in RetryDeadLetterQueue after {record.recorded.attempts} attempts"
        case _:
            following = "not retried"
    return f"not delivered to {host}{before}: {record.reason}, {following}"


def _host(url: str) -> str:
    """Return host and port. Never the path: for Slack and others it is the secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
