"""A delivery: an event, or a group of events, on its way to one target; and the messages on RetryQueue."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Self, cast

import msgspec
from msgspec import Meta

from backup_webhooks import __version__
from backup_webhooks.aws.items import PRINTABLE
from backup_webhooks.events.messages import (
    AccountAlias,
    Event,
    EventType,
    Identifier,
    decode,
    encode,
    policy_mark,
    without_output,
)
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.payloads import FORMATS, format_named, render_all
from backup_webhooks.targets.signing import current, signature
from backup_webhooks.targets.target import Target

TargetId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
# An identifier, and the mark of another account.
SubjectId = Annotated[str, Meta(min_length=1, max_length=217, pattern=PRINTABLE)]


def id_at(target: Target, event: Event, identifier: str) -> str:
    """Return an id of the event as it stands among the target's deliveries.

    An account may choose ids that are another's too, so those of accounts below the target's have a mark of theirs.
    """
    if event.account_alias == target.account:
        return identifier
    mark = hashlib.sha256(f"{event.account_alias}\n{identifier}".encode()).hexdigest()[:16]
    return f"{identifier}@{mark}"


class Incident(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The server policy whose incident a delivery opens or closes at its destination, and as of when.

    `as_of`: when its event became true. What happened after that counts more.
    """

    account: AccountAlias
    server_policy_id: Identifier
    as_of: Timestamp

    @classmethod
    def of(cls, event: Event) -> Self:
        """Return the incident that the event is about."""
        return cls(
            account=event.account_alias, server_policy_id=event.server_policy_id, as_of=Timestamp.of(event.as_of)
        )


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The body to post to a target. A message that comes twice makes equal deliveries, with equal keys and ids.

    `account`: the target's, which may be above the event's. `occurred_at` and `subject_id`: the event's time, and the
    restore point or server policy that it is about. A group has the time at which it was made, and an id of its own,
    `grouped-…`. `body`: as it is posted, but without the destination's key, which the target alone holds. `format`: the
    body's; the target may have another one since. `policy_mark`: of its event, if about one. `incident`:
    only where the format closes incidents. `plain_body`: without the backup output, if the body has that.
    """

    account: AccountAlias
    event_type: EventType = msgspec.field(name="event")
    target_id: TargetId
    occurred_at: Timestamp
    subject_id: SubjectId
    body: str
    format: Annotated[str, Meta(pattern=rf"^({'|'.join(FORMATS)})\Z")] = "text"
    policy_mark: Annotated[str, Meta(pattern=r"^([0-9a-f]{8})?\Z")] = ""
    incident: Incident | None = None
    plain_body: str | None = None

    @classmethod
    def of(cls, event: Event, target: Target) -> Self:
        """Return the event in the target's format, with the backup output only if the target asks for it."""
        body, plain_body = _bodies(target.format, [event], include_output=target.include_output)
        return cls(
            account=target.account,
            # A cancelled backup, which alone has none, is wanted nowhere.
            event_type=cast("EventType", event.event_type),
            target_id=target.target_id,
            occurred_at=event.occurred_at,
            subject_id=id_at(target, event, event.subject_id),
            body=body,
            plain_body=plain_body,
            format=target.format,
            policy_mark=policy_mark(event.subject_id, event.server_policy_id),
            incident=Incident.of(event) if format_named(target.format).closes_incidents else None,
        )

    @classmethod
    def of_group(cls, events: Sequence[Event], due: GroupDue, target: Target | None, now: datetime) -> Self:
        """Return a new delivery of events that were grouped for the target that `due` names, or was removed: None."""
        # For the log, which then says that it was not attempted.
        format_name, include_output = (target.format, target.include_output) if target else ("text", False)
        body, plain_body = _bodies(format_name, events, include_output=include_output)
        return cls(
            account=due.account,
            event_type=due.event_type,
            target_id=due.target_id,
            occurred_at=Timestamp.of(now),
            subject_id=f"grouped-{uuid.uuid4().hex}",
            body=body,
            plain_body=plain_body,
            format=format_name,
        )

    def as_reminder(self, server_policy_id: str, due_at: datetime) -> Self:
        """Return the delivery of the reminder that is due then: equal whenever it is made."""
        # Hashed, because a server policy's id may be as long as an id can be.
        subject = hashlib.sha256(server_policy_id.encode()).hexdigest()[:32]
        return msgspec.structs.replace(self, occurred_at=Timestamp.of(due_at), subject_id=f"reminder-{subject}")

    @property
    def account_day(self) -> str:
        """Return `{account}#{yyyy-mm-dd}`: the account and the day of the event, UTC."""
        return f"{self.account}#{self.occurred_at.astimezone(UTC):%Y-%m-%d}"

    @property
    def sort_key(self) -> str:
        """Return `{event time, ISO ms}#{event type}#{restorePointId or serverPolicyId}#{targetId}`.

        Behind it, after a full stop, stands the policy mark of an event that is about a restore point.
        """
        target = f"{self.target_id}.{self.policy_mark}" if self.policy_mark else self.target_id
        return "#".join((iso_milliseconds(self.occurred_at), self.event_type, self.subject_id, target))

    @property
    def webhook_id(self) -> str:
        """Return the receiver's key against repetition (Standard Webhooks): the same for every attempt."""
        return "msg_" + hashlib.sha256(f"{self.account_day}#{self.sort_key}".encode()).hexdigest()[:32]

    def obstacle(self, target: Target | None) -> str | None:
        """Return why the delivery cannot be attempted at its target as it is now, or None if it can."""
        if target is None:
            return "was removed"
        if not target.enabled:
            return "was switched off"
        if self.event_type not in target.event_types:
            return "no longer has this event"
        key = format_named(self.format).key
        if key and (target.format != self.format or target.destination_key is None):
            return f"was given another format, and has no {key.name} any more"
        return None

    def body_for(self, target: Target) -> bytes:
        """Return the body as it is posted to the target as it is now.

        It has the backup output only if the target still asks for it, and the destination's key, which is stored
        nowhere else.
        """
        body = self.body if target.include_output else self.plain_body or self.body
        key = format_named(self.format).key
        return key.put_into(body, target.destination_key or "") if key else body.encode()

    def headers(self, target: Target, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of an attempt that is made `now`: the custom ones, and ours, which none replaces."""
        timestamp = int(now.timestamp())
        headers = dict(target.headers) | {
            "content-type": format_named(self.format).content_type_of(self.body),
            "user-agent": f"SimpleBackupWebhooks/{__version__}",
            "webhook-id": self.webhook_id,
            "webhook-timestamp": str(timestamp),
        }
        if secrets := current(target.secrets, now):
            headers["webhook-signature"] = signature(secrets, self.webhook_id, timestamp, body)
        return headers

    def log_fields(self) -> dict[str, str]:
        """Return the fields for a log line. Never the URL: for Slack and others it is the secret."""
        return {
            "account": self.account,
            "event": self.event_type,
            "target_id": self.target_id,
            "webhook_id": self.webhook_id,
        }


def _bodies(format_name: str, events: Sequence[Event], *, include_output: bool) -> tuple[str, str | None]:
    """Return the body of the events in that format, and the same without backup output if they differ."""
    plain_body = render_all(format_name, list(map(without_output, events))).decode()
    if not include_output:
        return plain_body, None
    body = render_all(format_name, events).decode()
    return body, plain_body if body != plain_body else None


class AttemptDue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message on RetryQueue: an attempt that is to be made at `due_at`.

    URL, headers and secrets are the target's own at that time. `number`: counts all attempts at the delivery, from 1; a
    message that comes twice is known by it. `retries`: the number of steps of the retry schedule already taken.
    """

    delivery: Delivery
    number: Annotated[int, Meta(ge=1, le=1_000_000_000)] = msgspec.field(name="attempt")
    retries: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    due_at: Timestamp

    @classmethod
    def first(cls, delivery: Delivery, now: datetime) -> Self:
        """Return the first attempt, due at once."""
        return cls(delivery=delivery, number=1, retries=0, due_at=Timestamp.of(now))

    def retry(self, due_at: datetime) -> Self:
        """Return the next attempt of the retry schedule."""
        return type(self)(
            delivery=self.delivery, number=self.number + 1, retries=self.retries + 1, due_at=Timestamp.of(due_at)
        )

    def replay(self, now: datetime) -> Self:
        """Return the next attempt, due at once, with the whole retry schedule before it."""
        return type(self)(delivery=self.delivery, number=self.number + 1, retries=0, due_at=Timestamp.of(now))


class _ForTarget(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    account: AccountAlias
    event_type: EventType = msgspec.field(name="event")
    target_id: TargetId
    due_at: Timestamp


class GroupDue(_ForTarget, frozen=True, kw_only=True, rename="camel", tag="Group"):
    """A message on RetryQueue: the events that joined the target's group before `due_at` are to be sent then."""


class ReminderDue(_ForTarget, frozen=True, kw_only=True, rename="camel", tag="Remind"):
    """A message on RetryQueue: the target is to be reminded of the server policy's trouble, if it lasts.

    `server_policy_id`: as it stands among the target's deliveries (`id_at`).
    """

    server_policy_id: SubjectId


class RecheckDue(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="Recheck", tag_field="type"):
    """A message on RetryQueue: a target that answered 410 is to be switched on again if it has succeeded since."""

    account: AccountAlias
    target_id: TargetId
    switched_off_at: Timestamp
    due_at: Timestamp


type RetryMessage = AttemptDue | GroupDue | ReminderDue | RecheckDue


class _Kind(msgspec.Struct):
    # An attempt has none.
    type: str = ""


_KIND = msgspec.json.Decoder(_Kind)
_ATTEMPT = msgspec.json.Decoder(AttemptDue, dec_hook=Timestamp.decode)
_FOR_TARGET = msgspec.json.Decoder(GroupDue | ReminderDue | RecheckDue, dec_hook=Timestamp.decode)


def parse_retry_message(body: str) -> RetryMessage:
    """Return the message in a record of RetryQueue. Raise `InvalidMessage`, which names the field at fault."""
    return decode(_FOR_TARGET, body) if decode(_KIND, body).type else decode(_ATTEMPT, body)


def encode_retry_message(message: RetryMessage) -> str:
    """Return the message as it goes on the queue."""
    return encode(message)
