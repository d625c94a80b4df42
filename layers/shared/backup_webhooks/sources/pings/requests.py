"""The ping URL: HTTP API events in, short plain text out, and between them a message on BackupEventsQueue.

What is acknowledged is on the queue: where anything of ours fails the answer is a 5xx, which `curl --retry` repeats.
The key is in no log, and nor is the body.
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
from backup_webhooks.aws.settings import PingSettings
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
    remembered,
    seconds_to_wait,
    signal_of,
)

# Pings of one key at once, of which one wins each round.
_TRIES = 10
_HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}

logger = Logger(child=True)


class UnknownKey(LookupError):
    """There is no such key: it never was one, or it was revoked."""


class Throttled(Exception):
    """The key was used ten times within the minute. `seconds`: how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many pings: 10 a minute are taken. Try again in {seconds} s.")
        self.seconds = seconds


class Busy(Exception):
    """Others kept coming first."""


class Pings(Struct, frozen=True):
    """Takes pings."""

    store: PingsStore
    events: BackupEventsQueue

    @classmethod
    def of(cls, settings: PingSettings) -> Self:
        """On the table and the queue that the settings name."""
        return cls(
            store=PingsStore(clients.dynamodb(), settings.ping_keys_table),
            events=BackupEventsQueue(clients.sqs(), settings.backup_events_queue_url),
        )

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an HTTP API event of payload format 2.0, in the form that Lambda proxies have."""
        if event["requestContext"]["http"]["method"] not in ("GET", "POST"):
            # HEAD above all, which link checkers send: it must not count.
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "GET or POST.", allow="GET, POST")
        try:
            self._take(event)
        except UnknownKey:
            return _answer(HTTPStatus.NOT_FOUND, "No such key.")
        except InvalidPing as error:
            return _answer(HTTPStatus.BAD_REQUEST, str(error))
        except Throttled as error:
            return _answer(HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after=str(error.seconds))
        except (BotoCoreError, ClientError, Busy) as error:
            logger.error("ping failed", extra={"reason": str(error) or type(error).__name__})
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "Not taken: something of ours does not answer. Try again.")
        return _answer(HTTPStatus.OK, "OK")

    def _take(self, event: Mapping[str, Any]) -> None:
        key, *steps = event["rawPath"].split("/")[2:]
        signal = signal_of("/".join(steps) if steps else None)
        run_id = (event.get("queryStringParameters") or {}).get("rid")
        ping = Ping(
            # The gateway's: a ping is as old as that, whatever we do before we look at it.
            at=from_epoch_milliseconds(event["requestContext"]["timeEpoch"]),
            signal=signal,
            run_id="" if run_id is None else check_run_id(run_id),
        )
        pinged = self._remember(hash_of(key), ping)
        self.events.send(pinged.message(BackupOutput.of(_body(event))))
        logger.info(
            "ping",
            extra={"account": pinged.account, "server_policy_id": pinged.server_policy_id, "signal": str(signal)},
        )

    def _remember(self, key_hash: str, ping: Ping) -> PingKey:
        """The key with the ping as its newest. Raises `UnknownKey`, `Throttled` and `Busy`."""
        for _ in range(_TRIES):
            key, added = self.store.add(key_hash, ping)
            if key is None:
                raise UnknownKey
            if added:
                return key
            # Each tenth time: there may be many of late, or many that matter no more.
            if seconds := seconds_to_wait(key.pings, ping.at):
                raise Throttled(seconds)
            pings = (*remembered(key.pings, ping.at), ping)
            if self.store.replace(key, pings):
                return key.with_pings(pings)
        raise Busy


def _body(event: Mapping[str, Any]) -> str | bytes:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body


def _answer(status: HTTPStatus, text: str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"statusCode": int(status), "headers": _HEADERS | named, "body": f"{text}\n"}
