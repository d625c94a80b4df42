"""What goes in and out of the API, as it stands in the OpenAPI document: JSON in camel case, times in ISO 8601, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

Time = Annotated[datetime, PlainSerializer(iso_milliseconds, return_type=str, when_used="json-unless-none")]


TimestampIn = Annotated[datetime, BeforeValidator(Timestamp.parse)]
"""A time that a request names: ISO 8601 with a zone."""

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of what was seen: 412 if it is gone")]


Prefer = Annotated[
    str | None, Header(description="return=representation: the answer is 200 with what is stored then, new secrets too")
]


def expected_version(if_match: str | None) -> str | None:
    """The version that a request is for; None for any."""
    return None if if_match in (None, "*") else str(if_match).strip().removeprefix('"').removesuffix('"')


def asks_for_representation(prefer: str | None) -> bool:
    """Whether a change is to be answered with what is stored then (RFC 7240)."""
    return "return=representation" in (prefer or "").replace(" ", "")


class Model(BaseModel):
    """Base of what goes out."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid")


class Input(BaseModel):
    """Base of what comes in. What is not named is refused, lest a misspelt setting be ignored in silence."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class FieldError(Model):
    """`field`: a path in the body, such as `targetUris[1].targetUri`, or the name of a parameter."""

    field: str
    reason: str


class Problem(Model):
    """RFC 9457. `errors` name the fields of the request that can't be used, and what is allowed."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Link(Model):
    """A neighbour in the API."""

    rel: str
    href: str
