"""A delivery: what is attempted, a notice or several for one target; and the messages on RetryQueue."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from backup_webhooks import __version__
from backup_webhooks.events.messages import AccountAlias, Event, EventType, Identifier, decode, encode, without_output
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.payloads import FORMATS, format_named, render, render_all
from backup_webhooks.targets.signing import current, signature
from backup_webhooks.targets.target import Target

TargetId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be posted. Two receives of one message make equal deliveries, with equal keys and ids.

    `occurred_at` and `subject_id`: the event's time, and the restore point or server policy that it is about; of
    several that were gathered when that was, and `gathered-` with an id of its own. `body`: as it is posted, but for
    the destination's key, which its target alone has. `format`: the body's, which its target may have changed since;
    `text` of those from before deliveries told it.
    """

    account: AccountAlias
    event_type: EventType = msgspec.field(name="event")
    target_id: TargetId
    occurred_at: Timestamp
    subject_id: Identifier
    body: str
    format: Annotated[str, Meta(pattern=rf"^({'|'.join(FORMATS)})\Z")] = "text"

    @classmethod
    def of(cls, event: Event, target: Target) -> Self:
        """The notice in the target's format; with the backup's log only where the target is to have it."""
        event = event if target.include_output else without_output(event)
        return cls(
            account=target.account,
            event_type=target.event_type,
            target_id=target.target_id,
            occurred_at=event.occurred_at,
            subject_id=event.subject_id,
            body=render(target.format, event).decode(),
            format=target.format,
        )

    @classmethod
    def of_all(cls, events: Sequence[Event], wake_up: GroupDue, format_name: str, now: datetime) -> Self:
        """A new delivery of notices that were gathered for the target that `wake_up` names."""
        return cls(
            account=wake_up.account,
            event_type=wake_up.event_type,
            target_id=wake_up.target_id,
            occurred_at=Timestamp.of(now),
            subject_id=f"gathered-{uuid.uuid4().hex}",
            body=render_all(format_name, events).decode(),
            format=format_name,
        )

    def as_reminder(self, server_policy_id: str, due_at: datetime) -> Self:
        """A delivery of its own that tells the same again: the same one for whoever makes it."""
        # The id may be as long as an id can be.
        subject = hashlib.sha256(server_policy_id.encode()).hexdigest()[:32]
        return msgspec.structs.replace(self, occurred_at=Timestamp.of(due_at), subject_id=f"reminder-{subject}")

    @property
    def account_day(self) -> str:
        """`{account}#{yyyy-mm-dd}`: the account and the day of the event, UTC."""
        return f"{self.account}#{self.occurred_at.astimezone(UTC):%Y-%m-%d}"

    @property
    def sort_key(self) -> str:
        """`{event time, ISO ms}#{event}#{restorePointId or serverPolicyId}#{targetId}`."""
        return "#".join((iso_milliseconds(self.occurred_at), self.event_type, self.subject_id, self.target_id))

    @property
    def webhook_id(self) -> str:
        """The receiver's key against repetition (Standard Webhooks): the same for every attempt at this delivery."""
        return "msg_" + hashlib.sha256(f"{self.account_day}#{self.sort_key}".encode()).hexdigest()[:32]

    def obstacle(self, target: Target | None) -> str | None:
        """Why the delivery can't be attempted at its target, as that is now; None where it can."""
        if target is None:
            return "was removed"
        if not target.enabled:
            return "was switched off"
        key = format_named(self.format).key
        if key and (target.format != self.format or target.destination_key is None):
            return f"was given another format, and has no {key.called} any more"
        return None

    def posted_to(self, target: Target) -> bytes:
        """The body as it is posted: with the key that the target has for it, which is stored nowhere else."""
        key = format_named(self.format).key
        return key.put_into(self.body, target.destination_key or "") if key else self.body.encode()

    def headers(self, target: Target, now: datetime) -> dict[str, str]:
        """The headers of an attempt that is made `now`: the target's own, and ours, which no custom header replaces."""
        timestamp = int(now.timestamp())
        headers = dict(target.headers) | {
            "content-type": format_named(self.format).content_type_of(self.body),
            "user-agent": f"SimpleBackupWebhooks/{__version__}",
            "webhook-id": self.webhook_id,
            "webhook-timestamp": str(timestamp),
        }
        if secrets := current(target.secrets, now):
            headers["webhook-signature"] = signature(secrets, self.webhook_id, timestamp, self.posted_to(target))
        return headers

    def log_fields(self) -> dict[str, str]:
        """What a log line may say of it. Never the URL: for Slack and its like it is the secret."""
        return {
            "account": self.account,
            "event": self.event_type,
            "target_id": self.target_id,
            "webhook_id": self.webhook_id,
        }


class AttemptDue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message on RetryQueue: an attempt that is to be made at `due_at`, with all that it takes.

    URL, headers and secrets are the target's own at that time. `attempt` is its number among all attempts at the
    delivery, from 1: by it a message that comes twice is known. `retries`: the steps of the schedule that lie behind.
    """

    delivery: Delivery
    attempt: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    retries: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    due_at: Timestamp

    @classmethod
    def first(cls, delivery: Delivery, now: datetime) -> Self:
        """The first attempt, to be made at once."""
        return cls(delivery=delivery, attempt=1, retries=0, due_at=Timestamp.of(now))

    def retry(self, due_at: datetime) -> Self:
        """The attempt after this one, by the schedule."""
        return type(self)(
            delivery=self.delivery, attempt=self.attempt + 1, retries=self.retries + 1, due_at=Timestamp.of(due_at)
        )

    def replay(self, now: datetime) -> Self:
        """The attempt after this one, made at once, with the whole schedule before it."""
        return type(self)(delivery=self.delivery, attempt=self.attempt + 1, retries=0, due_at=Timestamp.of(now))


class _ForTarget(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    account: AccountAlias
    event_type: EventType = msgspec.field(name="event")
    target_id: TargetId
    due_at: Timestamp


class GroupDue(_ForTarget, frozen=True, kw_only=True, rename="camel", tag="GatherUp"):
    """A message on RetryQueue: what was gathered for the target before `due_at` is to become a delivery then."""


class ReminderDue(_ForTarget, frozen=True, kw_only=True, rename="camel", tag="Remind"):
    """A message on RetryQueue: the target is to be reminded of what still goes wrong with the server policy."""

    server_policy_id: Identifier


type RetryMessage = AttemptDue | GroupDue | ReminderDue


class _Kind(msgspec.Struct):
    # Redeliveries have none: there was nothing else once, and those that are on their way would be lost.
    type: str = ""


_KIND = msgspec.json.Decoder(_Kind)
_REDELIVERY = msgspec.json.Decoder(AttemptDue, dec_hook=Timestamp.decode)
_FOR_TARGET = msgspec.json.Decoder(GroupDue | ReminderDue, dec_hook=Timestamp.decode)


def parse_retry_message(body: str) -> RetryMessage:
    """The message in a record of RetryQueue; `InvalidMessage` names the field that makes it unusable."""
    return decode(_FOR_TARGET, body) if decode(_KIND, body).type else decode(_REDELIVERY, body)


def encode_retry_message(message: RetryMessage) -> str:
    """The message as it goes on the queue."""
    return encode(message)
