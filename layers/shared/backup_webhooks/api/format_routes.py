"""The route that shows a test event in a format, before a target uses the format."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS
from backup_webhooks.api.models import Model
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.payloads import FORMATS, format_named, render

router = Router()


class Preview(Model):
    """The body that a test event would have now, and its content type. `***` stands for the destination's key."""

    format: str
    content_type: str
    body: str


@router.get("/v2/webhooks/<account>/<event>/preview", summary="What a format posts", responses=READS)
def preview(
    account: Account, event: EventType, format: Annotated[str, Query(json_schema_extra={"enum": list(FORMATS)})]
) -> Preview:
    """Return a test event in that format. Nothing is posted."""
    if format not in FORMATS:
        raise InvalidField("format", f"allowed: {', '.join(FORMATS)}")
    body = render(format, example_event(account, event, utc_now())).decode()
    return Preview(format=format, content_type=format_named(format).content_type, body=body)
