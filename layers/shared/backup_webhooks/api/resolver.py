"""The whole API: its routes, the access control in front of them, and the headers of every answer."""

from __future__ import annotations

from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import RequestEntityTooLargeError
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from backup_webhooks import __version__
from backup_webhooks.api import (
    delivery_routes,
    format_routes,
    ping_key_routes,
    report_routes,
    server_routes,
    target_routes,
    unsubscribe_routes,
    webhook_routes,
)
from backup_webhooks.api.access import account_access
from backup_webhooks.api.page_routes import page_router
from backup_webhooks.api.problems import handle_problems

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# The largest settings of one event type's targets take about 40 KiB.
_LARGEST_BODY = 64 * 1024


class WebhooksApi:
    """The resolver of HTTP API events (payload format 2.0). `page`: the folder with the page's files."""

    def __init__(self, page: Path) -> None:
        self._api = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_strict_json)
        self._api.use(middlewares=[account_access])
        handle_problems(self._api)
        # The first route that fits is called, and `<event>` fits any name: routes with a fixed name come first.
        for routes in (
            delivery_routes,
            ping_key_routes,
            server_routes,
            report_routes,
            target_routes,
            format_routes,
            webhook_routes,
        ):
            self._api.include_router(routes.router)
        for router in (unsubscribe_routes.router, page_router(page)):
            self._api.include_router(router)
        self._api.get("/openapi.json", include_in_schema=False, compress=True)(self._openapi)

    def answer(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Return the answer to the request. No content of a request makes it raise."""
        # Access is checked on the decoded path, whether or not the gateway has decoded it.
        event = event | {"rawPath": unquote(event["rawPath"])}
        answer = self._api.resolve(event, context)
        answer["headers"] = _HEADERS | {name.lower(): value for name, value in answer.get("headers", {}).items()}
        return answer

    def _openapi(self) -> Response[str]:
        document = self._api.get_openapi_json_schema(
            title="Simple Backup Webhooks",
            version=__version__,
            description="Where each backup's result is posted, and what was; the servers behind it; who gets e-mail.",
            security_schemes={"token": HTTPBearer(bearerFormat="JWT")},
            security=[{"token": []}],
        )
        return Response(200, content_types.APPLICATION_JSON, document)


def _strict_json(body: str) -> Any:
    """Return the decoded JSON, which may not hold NaN. Raise errors that Powertools takes for the caller's."""
    if len(body) > _LARGEST_BODY:
        raise RequestEntityTooLargeError(f"At most {_LARGEST_BODY // 1024} KiB are taken.")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise JSONDecodeError(str(error), "", 0) from None
