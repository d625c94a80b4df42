"""Models of the delivery log and of replays."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from backup_webhooks.api.models import Input, Model, TimestampIn, TimestampOut
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery_log import DeliveryRecord
from backup_webhooks.events.messages import EventType


class DeliveryOut(Model):
    """A delivery record. `body`: the JSON that is posted. `response`: the first 1 KiB of the answer."""

    delivery_id: str
    webhook_id: str
    event: EventType
    occurred_at: TimestampOut
    subject_id: str
    target_id: str
    target_uri: str | None
    state: DeliveryState
    attempts: int
    attempted_at: TimestampOut | None
    retry_at: TimestampOut | None
    status: int | None
    milliseconds: int | None
    reason: str | None
    response: str
    format: str
    body: str

    @classmethod
    def of(cls, record: DeliveryRecord, delivery_id: str) -> Self:
        """Return the answer. `delivery_id`: an id that can stand in a path."""
        delivery, recorded = record.delivery, record.recorded
        return cls(
            delivery_id=delivery_id,
            webhook_id=delivery.webhook_id,
            event=delivery.event_type,
            occurred_at=delivery.occurred_at,
            subject_id=delivery.subject_id,
            target_id=delivery.target_id,
            target_uri=record.url,
            state=recorded.state,
            attempts=recorded.attempts,
            attempted_at=record.claimed_at,
            retry_at=recorded.retry_at,
            status=record.status,
            milliseconds=record.milliseconds,
            reason=record.reason,
            response=record.response,
            format=delivery.format,
            body=delivery.body,
        )


class DeliveriesOut(Model):
    """A page of the delivery log, the latest event first. `next`: the cursor of the next page; null on the last one.

    A page that is short or empty may have a next one. `searchedBackTo`: the time back to which the log was searched.
    """

    items: list[DeliveryOut]
    next: str | None
    searched_back_to: TimestampOut


class ReplaysIn(Input):
    """The failed deliveries to replay. `since`: of events from then on. `cursor`: the `next` of the answer before."""

    since: Annotated[TimestampIn, Field(examples=["2026-11-24T00:00:00Z"])]
    cursor: Annotated[str, Field(max_length=4000)] | None = None


class ReplaysOut(Model):
    """The number of deliveries that are replayed. `next`: the cursor that replays the rest; null if there is none."""

    count: int
    next: str | None
