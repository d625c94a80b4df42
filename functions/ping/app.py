"""Answers calls of the ping URL, by which scripts report their backups."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from backup_webhooks.sources.pings.requests import Pings, PingSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)


@cache
def _pings() -> Pings:
    return Pings.of(PingSettings.from_env())


# Not even if the environment asks for it: the event holds the key, and may hold a script's secrets.
@logger.inject_lambda_context(log_event=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an HTTP API event of payload format 2.0."""
    return _pings().answer(event)
