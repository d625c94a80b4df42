"""The delivery log in the API."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from backup_webhooks.api.models import Input, Model, Time, TimestampIn
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery_log import DeliveryRecord
from backup_webhooks.events.messages import EventType


class DeliveryOut(Model):
    """An entry of the delivery log. `body`: the JSON that is posted; `response`: the first 1 KiB of the answer."""

    delivery_id: str
    webhook_id: str
    event: EventType
    occurred_at: Time
    subject_id: str
    target_id: str
    target_uri: str | None
    state: DeliveryState
    attempts: int
    attempted_at: Time | None
    retry_at: Time | None
    status: int | None
    milliseconds: int | None
    reason: str | None
    response: str
    format: str
    body: str

    @classmethod
    def of(cls, logged: DeliveryRecord, delivery_id: str) -> Self:
        """The entry under an id that can stand in a path."""
        delivery, standing = logged.delivery, logged.standing
        return cls(
            delivery_id=delivery_id,
            webhook_id=delivery.webhook_id,
            event=delivery.event_type,
            occurred_at=delivery.occurred_at,
            subject_id=delivery.subject_id,
            target_id=delivery.target_id,
            target_uri=logged.url,
            state=standing.state,
            attempts=standing.attempts,
            attempted_at=logged.claimed_at,
            retry_at=standing.retry_at,
            status=logged.status,
            milliseconds=logged.milliseconds,
            reason=logged.reason,
            response=logged.response,
            format=delivery.format,
            body=delivery.body,
        )


class DeliveriesOut(Model):
    """A page of the log, the latest first. `next`: the cursor of the next page; null where there is nothing more.

    A page may be short, or empty, and have a next: `searchedBackTo` says how far it has looked.
    """

    items: list[DeliveryOut]
    next: str | None
    searched_back_to: Time


class RedeliveriesIn(Input):
    """From which event's time on; and the `next` of the answer before, where there was one."""

    since: Annotated[TimestampIn, Field(examples=["2026-11-24T00:00:00Z"])]
    cursor: Annotated[str, Field(max_length=4000)] | None = None


class RedeliveriesOut(Model):
    """How many are to be attempted anew. `next`: the cursor to ask for the rest with; null where there is none."""

    count: int
    next: str | None
