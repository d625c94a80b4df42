"""The answers that several routes share, for the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from backup_webhooks.api.models import Problem
from backup_webhooks.api.problems import CONTENT_TYPE


class GatewayError(BaseModel):
    """The gateway's own answer to a request that does not reach the service."""

    message: str


def _gateway_error(status: HTTPStatus) -> dict[int, Any]:
    content = {"application/json": {"model": GatewayError}, CONTENT_TYPE: {"model": Problem}}
    return {int(status): {"description": status.phrase, "content": content}}


def _problems(*statuses: HTTPStatus) -> dict[int, Any]:
    return {
        int(status): {"description": status.phrase, "content": {CONTENT_TYPE: {"model": Problem}}}
        for status in statuses
    }


_ALWAYS = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
READS: dict[int, Any] = (
    {200: {"description": "As it is stored now"}}
    | _problems(*_ALWAYS)
    | _gateway_error(HTTPStatus.UNAUTHORIZED)
    | _gateway_error(HTTPStatus.TOO_MANY_REQUESTS)
)
ACTS: dict[int, Any] = READS | _problems(
    HTTPStatus.CONFLICT, HTTPStatus.CONTENT_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
)
WRITES: dict[int, Any] = (
    {204: {"description": "Done", "content": {}}}
    | READS
    | _problems(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
    | _problems(HTTPStatus.CONTENT_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
)
