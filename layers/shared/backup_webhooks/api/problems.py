"""Errors as RFC 9457 problem documents. They name the refused field and the allowed values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks.api.models import FieldError, Problem
from backup_webhooks.aws.errors import Changed, Conflict
from backup_webhooks.aws.paging import InvalidCursor
from backup_webhooks.deliveries.replays import UnknownDelivery
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.sources.pings.keys import UnknownPingKey
from backup_webhooks.sources.pings.keys_store import MOST_PING_KEYS, TooManyPingKeys
from backup_webhooks.targets.signing import TooManySecrets
from backup_webhooks.targets.store import UnknownTarget

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

CONTENT_TYPE = "application/problem+json"
_LONGEST_REASON = 300
# The first ones are enough for the caller, and an answer is limited in size.
_MOST_ERRORS = 20

logger = Logger(child=True)


def problem(status: HTTPStatus, detail: str, errors: Sequence[FieldError] = ()) -> Response[str]:
    """Return the answer with the problem document."""
    document = Problem(title=status.phrase, status=status, detail=detail, errors=list(errors))
    exclude = None if errors else {"errors"}
    return Response(status, CONTENT_TYPE, document.model_dump_json(exclude=exclude))


def field_problem(field: str, reason: str) -> Response[str]:
    """Return the answer to a request of which one field is refused."""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {reason}", [FieldError(field=field, reason=reason)])


def handle_problems(api: APIGatewayHttpResolver) -> None:
    """Make the resolver answer with a problem document to each error that its routes raise."""
    for kind, handler in _HANDLERS.items():
        api.exception_handler(kind)(handler)


def _invalid_request(invalid: RequestValidationError) -> Response[str]:
    failures = list(invalid.errors())
    if failures[0]["type"] == "json_invalid":
        return field_problem("body", f"not JSON: {failures[0]['ctx']['error']}")
    if any(failure["loc"][0] == "path" for failure in failures):
        return _not_found(NotFoundError("Not found"))
    errors = [
        FieldError(
            field=_path(failure["loc"][1:]),
            reason=textwrap.shorten(str(failure["msg"]).removeprefix("Value error, "), _LONGEST_REASON),
        )
        for failure in failures[:_MOST_ERRORS]
    ]
    detail = "; ".join(f"{error.field}: {error.reason}" for error in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def _path(steps: Iterable[Any]) -> str:
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return textwrap.shorten(path.removeprefix("."), _LONGEST_REASON) or "body"


def _invalid_field(error: InvalidField) -> Response[str]:
    return field_problem(error.field, error.reason)


def _invalid_cursor(_: InvalidCursor) -> Response[str]:
    return field_problem("cursor", "must be the next of a page of the same list")


def _invalid_json(_: Exception) -> Response[str]:
    return field_problem("body", "must be JSON in UTF-8, not nested too deeply")


def _unsupported(_: RequestUnsupportedContentType) -> Response[str]:
    return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")


def _not_found(error: ServiceError | LookupError) -> Response[str]:
    detail = str(error.msg) if isinstance(error, ServiceError) else "There is no such target, delivery or ping key."
    return problem(HTTPStatus.NOT_FOUND, detail if detail != "Not found" else "There is nothing at this address.")


def _changed(_: Changed) -> Response[str]:
    return problem(HTTPStatus.PRECONDITION_FAILED, "Another request has changed this since you read it.")


def _conflict(_: Conflict) -> Response[str]:
    return problem(HTTPStatus.CONFLICT, "Another request is changing this at the same time: try again.")


def _too_many_secrets(error: TooManySecrets) -> Response[str]:
    return problem(HTTPStatus.CONFLICT, str(error))


def _too_many_ping_keys(_: TooManyPingKeys) -> Response[str]:
    return problem(HTTPStatus.CONFLICT, f"There are {MOST_PING_KEYS} ping keys, the most an account may have.")


def _service_error(error: ServiceError) -> Response[str]:
    return problem(HTTPStatus(error.status_code), str(error.msg))


def _unavailable(error: Exception) -> Response[str]:
    logger.error("request failed", extra={"reason": str(error)})
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The service does not answer at the moment: try again.")


def _unexpected(error: Exception) -> Response[str]:
    logger.error("request failed", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed; the error has been logged.")


_HANDLERS: dict[type[Exception], Any] = {
    RequestValidationError: _invalid_request,
    RequestUnsupportedContentType: _unsupported,
    InvalidField: _invalid_field,
    InvalidCursor: _invalid_cursor,
    UnicodeError: _invalid_json,
    RecursionError: _invalid_json,
    NotFoundError: _not_found,
    UnknownTarget: _not_found,
    UnknownDelivery: _not_found,
    UnknownPingKey: _not_found,
    Changed: _changed,
    Conflict: _conflict,
    TooManySecrets: _too_many_secrets,
    TooManyPingKeys: _too_many_ping_keys,
    ServiceError: _service_error,
    ClientError: _unavailable,
    BotoCoreError: _unavailable,
    Exception: _unexpected,
}
