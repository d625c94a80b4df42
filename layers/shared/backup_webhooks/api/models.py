"""The base of the API's models, and the models that routes share. JSON has camel case, and times in ISO 8601, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

TimestampOut = Annotated[datetime, PlainSerializer(iso_milliseconds, return_type=str, when_used="json-unless-none")]

TimestampIn = Annotated[datetime, BeforeValidator(Timestamp.parse)]
"""A timestamp in a request: ISO 8601 with a zone."""

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of what was seen: 412 if it is gone")]


Prefer = Annotated[
    str | None, Header(description="return=representation: the answer is 200 with what is stored then, new secrets too")
]


def expected_version(if_match: str | None) -> str | None:
    """Return the version that a change expects, or None if it expects none."""
    return None if if_match in (None, "*") else str(if_match).strip().removeprefix('"').removesuffix('"')


def asks_for_representation(prefer: str | None) -> bool:
    """Return whether the answer to a change is to hold the stored result (RFC 7240)."""
    return "return=representation" in (prefer or "").replace(" ", "")


class Model(BaseModel):
    """Base of the models in answers."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid")


class Input(BaseModel):
    """Base of the models in requests. Unknown fields are refused, so that a misspelt setting is not ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class FieldError(Model):
    """The reason why a field is refused. `field`: a path such as `targetUris[1].targetUri`, or a parameter's name."""

    field: str
    reason: str


class Problem(Model):
    """A problem document (RFC 9457). `errors`: the request's fields that are refused, and the allowed values."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Link(Model):
    """The path of a related resource of the API."""

    rel: str
    href: str
