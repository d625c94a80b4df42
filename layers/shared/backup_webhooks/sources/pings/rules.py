"""Rules for pings: how a script's calls of its ping URL become messages about one server policy's backups. Pure.

A ping key stands for one server policy and keeps its last pings. A ping's message depends on these pings alone. So a
ping that the script, SQS or this service repeats makes the very same message, and the notifier recognises it.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct

from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.messages import BackupFinished, BackupStarted, BackupStatus
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds

_KEY_BYTES = 16
MOST_PINGS_A_MINUTE = 10
_MINUTE = timedelta(minutes=1)
# A ping with the same run id and signal within this time of the first is a repeat. The time is short, so that a script
# that uses one run id every night loses no result.
REPEAT_WINDOW = timedelta(hours=1)
# A second end without a run id within this time belongs to the same run: the script repeats a call that fails.
_RETRY_WINDOW = timedelta(minutes=1)
# A run without an end counts as open for this long.
LONGEST_RUN = timedelta(days=7)
MOST_PINGS_KEPT = 40
_HIGHEST_EXIT_STATUS = 255
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Signal(StrEnum):
    """The report of a ping: the backup starts, or how it ended."""

    START = "start"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAIL = "fail"


_STATUS_OF_SIGNAL = {
    Signal.SUCCESS: BackupStatus.SUCCESS,
    Signal.PARTIAL: BackupStatus.PARTIAL_SUCCESS,
    Signal.FAIL: BackupStatus.FAILED,
}


class InvalidPing(ValueError):
    """A ping without a usable signal or run id; the text says what is allowed."""


def parse_signal(step: str | None) -> Signal:
    """Return the signal that `step` names: the part of a ping's path after the key, or None. Raise `InvalidPing`."""
    if step is None:
        return Signal.SUCCESS
    if step in (Signal.START, Signal.PARTIAL, Signal.FAIL):
        return Signal(step)
    # An exit status as a shell writes it. An empty one, from a variable that was never set, must not be a success.
    if step.isascii() and step.isdigit() and step == str(int(step[:4])) and int(step) <= _HIGHEST_EXIT_STATUS:
        return Signal.FAIL if int(step) else Signal.SUCCESS
    raise InvalidPing(
        "Not a ping. Behind the key goes nothing, /start, /fail, /partial, or an exit status, /0 to /255."
    )


def check_run_id(run_id: str) -> str:
    """Return the run id. Raise `InvalidPing` if it is too long or has other characters."""
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidPing("Not a run id. rid has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    return run_id


def new_key() -> str:
    """Return a new key: 128 random bits in 22 characters. Only its hash is stored."""
    return secrets.token_urlsafe(_KEY_BYTES)


def hash_of(key: str) -> str:
    """Return the SHA-256 of the key in hexadecimal, under which it is stored."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


class Ping(Struct, frozen=True):
    """A ping as received. `at` is aware, in UTC, to the millisecond; `run_id` is empty if the script gave none."""

    at: datetime
    signal: Signal
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class PingKey:
    """A ping key: its hash, its server policy, its schedule, and its last pings, the newest last.

    The schedule holds since `changed_at`.
    """

    key_hash: str = field(repr=False)
    account: str
    server_id: str
    server_policy_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str
    created_at: datetime
    changed_at: datetime
    pings: tuple[Ping, ...] = ()

    @property
    def ping_key_id(self) -> str:
        """16 hexadecimal digits that identify the key without revealing it."""
        return self.key_hash[:16]

    def with_pings(self, pings: Sequence[Ping]) -> Self:
        """Return the key with these pings in place of its own."""
        return replace(self, pings=tuple(pings))

    def message(self, output: BackupOutput) -> BackupStarted | BackupFinished:
        """Return the message of the newest ping. `output` is added to an end and not to a start."""
        *earlier, newest = self.pings
        ping = _first_sent(earlier, newest)
        identity: dict[str, Any] = {
            "account_alias": self.account,
            "server_id": self.server_id,
            "server_policy_id": self.server_policy_id,
            "account_policy_id": self.account_policy_id,
            "account_policy_name": self.account_policy_name,
            "storage_region": self.storage_region,
        }
        started_at = _started_at(earlier, ping)
        run_id = f"{self.ping_key_id}-{ping.run_id or epoch_milliseconds(started_at)}"
        if ping.signal is Signal.START:
            return BackupStarted(**identity, backup_started_date=Timestamp.of(ping.at), restore_point_id=run_id)
        return BackupFinished(
            **identity,
            backup_started_date=Timestamp.of(started_at),
            restore_point_id=run_id,
            restore_point_creation_status=_STATUS_OF_SIGNAL[ping.signal],
            backup_finished_date=Timestamp.of(ping.at),
            output=output or None,
        )


def _first_sent(earlier: Sequence[Ping], ping: Ping) -> Ping:
    """Return the first of the pings that this one repeats, or the ping itself if it repeats none."""
    if not ping.run_id:
        return ping
    for position, other in reversed(list(enumerate(earlier))):
        if other.run_id != ping.run_id:
            continue
        if ping.at - other.at > REPEAT_WINDOW:
            return ping
        if other.signal is ping.signal:
            return _first_sent(earlier[:position], other)
        if Signal.START in (other.signal, ping.signal):
            # A start after an end begins a new run, and an end after a start is its first.
            return ping
    return ping


def _started_at(earlier: Sequence[Ping], ping: Ping) -> datetime:
    """Return when the backup of the ping started: at the start of its run, or at the ping if it has none."""
    if ping.signal is Signal.START:
        return ping.at
    same_end = REPEAT_WINDOW if ping.run_id else _RETRY_WINDOW
    for position, other in reversed(list(enumerate(earlier))):
        if other.run_id != ping.run_id or other.at > ping.at:
            continue
        if other.signal is Signal.START:
            return _first_sent(earlier[:position], other).at if ping.at - other.at <= LONGEST_RUN else ping.at
        if ping.at - other.at > same_end:
            break
    return ping.at


def seconds_to_wait(pings: Sequence[Ping], now: datetime) -> int | None:
    """Return in how many seconds a further ping is allowed, or None if it is now. Any minute has room for ten."""
    recent = [ping for ping in pings if ping.at > now - _MINUTE]
    if len(recent) < MOST_PINGS_A_MINUTE:
        return None
    return max(math.ceil((recent[-MOST_PINGS_A_MINUTE].at + _MINUTE - now).total_seconds()), 1)


def remembered(pings: Sequence[Ping], now: datetime) -> tuple[Ping, ...]:
    """Return the pings that still matter: those of the last hour and the starts of open runs. Keep the newest 39."""
    latest = {ping.run_id: ping for ping in pings}
    kept = [
        ping
        for ping in pings
        if now - ping.at <= REPEAT_WINDOW
        or (ping.signal is Signal.START and latest[ping.run_id] is ping and now - ping.at <= LONGEST_RUN)
    ]
    return tuple(kept[1 - MOST_PINGS_KEPT :])
