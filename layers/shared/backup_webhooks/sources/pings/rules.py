"""Pings: what a script's calls of its ping URL say of one server policy's backups.

Pure. A ping key stands for one server policy, and remembers its last pings; what a ping says follows from these and
from itself alone. So a ping that is repeated, by the script, by SQS or by us, makes the very same message, which the
rest of the service tells once, as it does whatever comes twice.
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
from typing import Self

from msgspec import Struct

from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.messages import BackupFinished, BackupStarted, BackupStatus
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds

_KEY_BYTES = 16
MOST_A_MINUTE = 10
_MINUTE = timedelta(minutes=1)
# A ping with the same run id and signal within this time of the first is that ping again. Not for longer: who uses a
# run id for each night's run must not lose a result by it.
REPEATED_FOR = timedelta(hours=1)
# So long after an end without a run id another one may still be of the same run: its answer was an error of ours.
_RETRIED_FOR = timedelta(minutes=1)
# A start without an end is that of a run which goes on, for so long.
LONGEST_RUN = timedelta(days=7)
MOST_REMEMBERED = 40
_HIGHEST_EXIT_STATUS = 255
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Signal(StrEnum):
    """What a ping says of a backup: that it starts, or how it ended."""

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
    """A ping that says nothing; the text says what is allowed."""


def signal_of(step: str | None) -> Signal:
    """What stands behind the key in a ping's path; None: nothing. Raises `InvalidPing`."""
    if step is None:
        return Signal.SUCCESS
    if step in (Signal.START, Signal.PARTIAL, Signal.FAIL):
        return Signal(step)
    # As a shell writes it. An empty one, of a variable that was never set, must not pass for a success.
    if step.isascii() and step.isdigit() and step == str(int(step[:4])) and int(step) <= _HIGHEST_EXIT_STATUS:
        return Signal.FAIL if int(step) else Signal.SUCCESS
    raise InvalidPing(
        "Not a ping. Behind the key goes nothing, /start, /fail, /partial, or an exit status, /0 to /255."
    )


def check_run_id(run_id: str) -> str:
    """The run id, if it can be one; `InvalidPing` otherwise."""
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidPing("Not a run id. rid has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    return run_id


def new_key() -> str:
    """A key, 128 random bits in 22 characters: told once, kept as its hash."""
    return secrets.token_urlsafe(_KEY_BYTES)


def hash_of(key: str) -> str:
    """By which a key is known here: SHA-256, hexadecimal."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


class Ping(Struct, frozen=True):
    """A ping as it came. `at`: aware, UTC, to the millisecond; `run_id`: empty where it names none."""

    at: datetime
    signal: Signal
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class PingKey:
    """A key by its hash, the server policy that it stands for, its schedule, and its last pings, the newest last.

    `changed_at`: since when the schedule is as it is.
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
        """16 hexadecimal digits, by which the key is spoken of; they say nothing of it."""
        return self.key_hash[:16]

    def with_pings(self, pings: Sequence[Ping]) -> Self:
        """The key with these pings in the place of its own."""
        return replace(self, pings=tuple(pings))

    def message(self, output: BackupOutput) -> BackupStarted | BackupFinished:
        """What the newest ping says; `output` goes with an end."""
        *earlier, newest = self.pings
        ping = _first(earlier, newest)
        facts = {
            "account_alias": self.account,
            "server_id": self.server_id,
            "server_policy_id": self.server_policy_id,
            "account_policy_id": self.account_policy_id,
            "account_policy_name": self.account_policy_name,
            "storage_region": self.storage_region,
        }
        began = _began(earlier, ping)
        run_id = f"{self.ping_key_id}-{ping.run_id or epoch_milliseconds(began)}"
        if ping.signal is Signal.START:
            return BackupStarted(**facts, backup_started_date=Timestamp.of(ping.at), restore_point_id=run_id)
        return BackupFinished(
            **facts,
            backup_started_date=Timestamp.of(began),
            restore_point_id=run_id,
            restore_point_creation_status=_STATUS_OF_SIGNAL[ping.signal],
            backup_finished_date=Timestamp.of(ping.at),
            output=output or None,
        )


def _first(earlier: Sequence[Ping], ping: Ping) -> Ping:
    """The ping that this one repeats; itself where it is none of the same run again."""
    if not ping.run_id:
        return ping
    for position, one in reversed(list(enumerate(earlier))):
        if one.run_id != ping.run_id:
            continue
        if ping.at - one.at > REPEATED_FOR:
            return ping
        if one.signal is ping.signal:
            return _first(earlier[:position], one)
        if Signal.START in (one.signal, ping.signal):
            # A start after an end begins anew, and an end after a start is its first.
            return ping
    return ping


def _began(earlier: Sequence[Ping], ping: Ping) -> datetime:
    """When the backup began that the ping tells of: then, where no start says otherwise."""
    if ping.signal is Signal.START:
        return ping.at
    same_end = REPEATED_FOR if ping.run_id else _RETRIED_FOR
    for position, one in reversed(list(enumerate(earlier))):
        if one.run_id != ping.run_id or one.at > ping.at:
            continue
        if one.signal is Signal.START:
            return _first(earlier[:position], one).at if ping.at - one.at <= LONGEST_RUN else ping.at
        if ping.at - one.at > same_end:
            break
    return ping.at


def seconds_to_wait(pings: Sequence[Ping], now: datetime) -> int | None:
    """In how many seconds a further ping is allowed; None: it is now. Ten are in any minute."""
    recent = [ping for ping in pings if ping.at > now - _MINUTE]
    if len(recent) < MOST_A_MINUTE:
        return None
    return max(math.ceil((recent[-MOST_A_MINUTE].at + _MINUTE - now).total_seconds()), 1)


def remembered(pings: Sequence[Ping], now: datetime) -> tuple[Ping, ...]:
    """Those that still matter: of the last hour, and the starts of runs that may go on; 39 at most, the newest."""
    latest = {ping.run_id: ping for ping in pings}
    kept = [
        ping
        for ping in pings
        if now - ping.at <= REPEATED_FOR
        or (ping.signal is Signal.START and latest[ping.run_id] is ping and now - ping.at <= LONGEST_RUN)
    ]
    return tuple(kept[1 - MOST_REMEMBERED :])
