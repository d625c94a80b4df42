"""The ping URL: turns HTTP API events into messages on BackupEventsQueue, and answers in short plain text.

An acknowledged ping is on the queue. If an AWS call fails, the answer is a 5xx, and `curl --retry` repeats the ping.
Neither the key nor the body is logged.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.aws.settings import Settings, Text
from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import from_epoch_milliseconds
from backup_webhooks.sources.pings.pings_store import PingsStore
from backup_webhooks.sources.pings.rules import (
    InvalidPing,
    Ping,
    PingKey,
    check_run_id,
    hash_of,
    parse_signal,
    remembered,
    seconds_to_wait,
)

# If pings of one key come at the same time, one of them is written in each round.
_TRIES = 10
_HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}

logger = Logger(child=True)


class PingSettings(Settings, frozen=True, kw_only=True):
    """The settings of ping."""

    ping_keys_table: Text
    backup_events_queue_url: Text


class UnknownKey(LookupError):
    """There is no such key: it was never made, or it was revoked."""


class Throttled(Exception):
    """The key was used ten times within the minute. `seconds` is how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many pings: 10 a minute are taken. Try again in {seconds} s.")
        self.seconds = seconds


class Pings(Struct, frozen=True):
    """Stores pings, sends their messages and answers."""

    store: PingsStore
    events: BackupEventsQueue

    @classmethod
    def of(cls, settings: PingSettings, aws: Clients = clients) -> Self:
        """On the table and the queue that the settings name."""
        return cls(
            store=PingsStore(aws.dynamodb(), settings.ping_keys_table),
            events=BackupEventsQueue(aws.sqs(), settings.backup_events_queue_url),
        )

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an HTTP API event; both have payload format 2.0."""
        if event["requestContext"]["http"]["method"] not in ("GET", "POST"):
            # Link checkers send HEAD, which must not count as a ping.
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "GET or POST.", allow="GET, POST")
        try:
            self._accept(event)
        except UnknownKey:
            return _answer(HTTPStatus.NOT_FOUND, "No such key.")
        except InvalidPing as error:
            return _answer(HTTPStatus.BAD_REQUEST, str(error))
        except Throttled as error:
            return _answer(HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after=str(error.seconds))
        except (BotoCoreError, ClientError, Conflict) as error:
            logger.error("ping failed", extra={"reason": str(error) or type(error).__name__})
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "Not taken: something of ours does not answer. Try again.")
        return _answer(HTTPStatus.OK, "OK")

    def _accept(self, event: Mapping[str, Any]) -> None:
        key, *steps = event["rawPath"].split("/")[2:]
        signal = parse_signal("/".join(steps) if steps else None)
        run_id = (event.get("queryStringParameters") or {}).get("rid")
        ping = Ping(
            # The gateway's time: the function may start later.
            at=from_epoch_milliseconds(event["requestContext"]["timeEpoch"]),
            signal=signal,
            run_id="" if run_id is None else check_run_id(run_id),
        )
        ping_key = retry_on_conflict(lambda: self._remember(hash_of(key), ping), _TRIES)
        self.events.send(ping_key.message(BackupOutput.of(_body(event))))
        logger.info(
            "ping",
            extra={"account": ping_key.account, "server_policy_id": ping_key.server_policy_id, "signal": str(signal)},
        )

    def _remember(self, key_hash: str, ping: Ping) -> PingKey:
        """Return the key with the ping as its newest. Raise `UnknownKey`, `Throttled`, or `Conflict` if other pings
        were written first.
        """
        key, added = self.store.add(key_hash, ping)
        if key is None:
            raise UnknownKey
        if added:
            return key
        # Ten are stored: all may be of the last minute, or some may matter no longer.
        if seconds := seconds_to_wait(key.pings, ping.at):
            raise Throttled(seconds)
        pings = (*remembered(key.pings, ping.at), ping)
        if not self.store.replace(key, pings):
            raise Conflict(key.ping_key_id)
        return key.with_pings(pings)


def _body(event: Mapping[str, Any]) -> str | bytes:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body


def _answer(status: HTTPStatus, text: str, **headers: str) -> dict[str, Any]:
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"statusCode": int(status), "headers": _HEADERS | own, "body": f"{text}\n"}
