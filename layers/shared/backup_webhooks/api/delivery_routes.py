"""Routes of an account's delivery log, and of replays."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import ACTS, READS
from backup_webhooks.api.delivery_models import DeliveriesOut, DeliveryOut, ReplaysIn, ReplaysOut
from backup_webhooks.api.models import TimestampIn
from backup_webhooks.api.problems import problem
from backup_webhooks.api.services import services
from backup_webhooks.aws.paging import InvalidCursor, from_cursor, to_cursor
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery_log import DeliveryRecord
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now

_DEFAULT_PERIOD = timedelta(days=30)
# A server's clock may be ahead.
_CLOCK_SKEW = timedelta(days=1)

router = Router()


@router.get("/v2/webhooks/<account>/deliveries", summary="The delivery log", responses=READS, compress=True)
def deliveries(  # noqa: PLR0913, PLR0917 - the list's filters
    account: Account,
    event: Annotated[EventType | None, Query()] = None,
    state: Annotated[DeliveryState | None, Query()] = None,
    since: Annotated[TimestampIn | None, Query(description="Of events from then on; default: 30 days ago")] = None,
    until: Annotated[TimestampIn | None, Query(description="Of events up to then")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> DeliveriesOut:
    """Return a page of the account's deliveries with their results, the latest event first."""
    now = utc_now()
    page = services().deliveries.page(
        account,
        since=_within_retention(since or now - _DEFAULT_PERIOD, now),
        until=min(until or now + _CLOCK_SKEW, now + _CLOCK_SKEW),
        limit=limit,
        cursor=cursor,
        event_type=event,
        states=[state] if state else [],
    )
    return DeliveriesOut(
        items=[_out(record) for record in page.records], next=page.cursor, searched_back_to=page.searched_back_to
    )


@router.get("/v2/webhooks/<account>/deliveries/<delivery_id>", summary="One delivery", responses=READS)
def delivery(account: Account, delivery_id: str) -> DeliveryOut:
    """Return the delivery record as it is now."""
    return _out(_load(account, delivery_id))


@router.post(
    "/v2/webhooks/<account>/deliveries/<delivery_id>/replay",
    summary="Attempt a delivery anew",
    responses=ACTS | {202: {"description": "It will be attempted at once", "content": {}}},
)
def replay(account: Account, delivery_id: str) -> Response[Any]:
    """Replay a delivery in any state, under the same `webhook-id`. Two requests before the attempt make one attempt.

    Answer 409 if its target was removed, is switched off, or has no key for the body any more.
    """
    delivery = _load(account, delivery_id).delivery
    target = services().targets.load(account).find(delivery.target_id)
    if obstacle := delivery.obstacle(target):
        return problem(HTTPStatus.CONFLICT, f"The target {obstacle}: it is not called.")
    services().replays.one(account, delivery.sort_key)
    return Response(HTTPStatus.ACCEPTED)


@router.post(
    "/v2/webhooks/<account>/replays",
    summary="Attempt all failed deliveries anew",
    responses=ACTS | {202: {"description": "They will be attempted at once"}},
)
def replay_failed(account: Account, wanted: ReplaysIn) -> Response[ReplaysOut]:
    """Replay a page of the deliveries that failed and are not to be retried, the latest event first."""
    oldest = _within_retention(wanted.since, utc_now())
    replayed = services().replays.undelivered_since(account, oldest, wanted.cursor)
    body = ReplaysOut(count=replayed.count, next=replayed.cursor)
    return Response(HTTPStatus.ACCEPTED, content_types.APPLICATION_JSON, body)


def _within_retention(since: datetime, now: datetime) -> datetime:
    """Return `since`, or the start of the log if that is later: each day before it would be a query for nothing."""
    return max(since, now - services().delivery_retention)


def _out(record: DeliveryRecord) -> DeliveryOut:
    return DeliveryOut.of(record, to_cursor(record.delivery.sort_key))


def _load(account: str, delivery_id: str) -> DeliveryRecord:
    try:
        (sort_key,) = from_cursor(delivery_id, 1)
    except InvalidCursor:
        raise NotFoundError("There is no such delivery.") from None
    if record := services().deliveries.find(account, sort_key):
        return record
    raise NotFoundError("There is no such delivery, or it is older than the log.")
