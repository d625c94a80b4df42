"""The function that serves the Webhooks page and its JSON API: HTTP API requests in, answers out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from backup_webhooks.api.resolver import WebhooksApi

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
_api = WebhooksApi(Path(__file__).parent / "page")


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an HTTP API event of payload format 2.0."""
    return _api.answer(event, context)
