"""The messages on BackupEventsQueue as typed, validated values (design section 4).

`parse_message` is the only way in. Field names are the backup service's own in camel case, Python's in snake
case; fields that are not named here are ignored. Bounds on lengths keep DynamoDB's keys (1,024 bytes for a sort
key) out of reach of any sender.
"""

from __future__ import annotations

import textwrap
from enum import StrEnum
from typing import Annotated, Any, Union

import msgspec
from msgspec import Meta

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.items import PRINTABLE
from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

AccountAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
Identifier = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=500, pattern=PRINTABLE)]


class EventType(StrEnum):
    """The events that a customer sets target URLs for: the FAQ's four categories, and one that it does not have."""

    FAILURE = "Backup.Failure"
    PARTIAL_SUCCESS = "Backup.PartialSuccess"
    MISSING = "Backup.Missing"
    SUCCESS = "Backup.Success"
    RECOVERED = "Backup.Recovered"


class BackupStatus(StrEnum):
    """How a backup completed: the backup service's `restorePointCreationStatus`."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_EVENT_OF_STATUS = {
    BackupStatus.SUCCESS: EventType.SUCCESS,
    BackupStatus.PARTIAL_SUCCESS: EventType.PARTIAL_SUCCESS,
    BackupStatus.FAILED: EventType.FAILURE,
}


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Base of the messages: JSON objects in camel case, told apart by `type`, the class's own name."""


class _ServerBackup(_Message, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """What every message about a backup of one server under one policy carries."""

    account_alias: AccountAlias
    server_id: Identifier
    server_policy_id: Identifier
    account_policy_id: Identifier
    account_policy_name: Name
    storage_region: Name


class BackupStarted(_ServerBackup, frozen=True, kw_only=True, rename="camel", tag="BackupStarted"):
    """A server has initiated a backup."""

    backup_started_date: Timestamp
    restore_point_id: Identifier | None = None


class _Ended(_ServerBackup, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """What every message about the end of a backup carries."""

    restore_point_id: Identifier
    backup_finished_date: Timestamp

    @property
    def occurred_at(self) -> Timestamp:
        """When the event happened: the backup's end."""
        return self.backup_finished_date

    @property
    def subject_id(self) -> str:
        """What the event is about, unique together with its time: the restore point."""
        return self.restore_point_id


class BackupFinished(_Ended, frozen=True, kw_only=True, rename="camel", tag="BackupFinished"):
    """A backup has completed, one way or another."""

    backup_started_date: Timestamp
    restore_point_creation_status: BackupStatus
    # What the service counts of a restore point. Of any type: nobody is to miss word of a failure for a count.
    number_of_protected_files: Any = None
    files_transferred_to_storage: Any = None
    bytes_transferred_to_storage: Any = None
    files_failed_transfer_to_storage: Any = None
    bytes_failed_to_transfer: Any = None
    files_removed_from_disk: Any = None
    bytes_in_storage_for_items_removed: Any = None
    unchanged_files_not_transferred: Any = None
    unchanged_bytes_in_storage: Any = None
    # What the backup said of itself, from whoever sends it. Cut to what can be kept, and never a reason to refuse.
    output: BackupOutput | None = msgspec.field(default=None, name="log")

    @property
    def event_type(self) -> EventType | None:
        """The event that this result fires; none for a cancelled backup."""
        return _EVENT_OF_STATUS.get(self.restore_point_creation_status)


class BackupMissed(_ServerBackup, frozen=True, kw_only=True, rename="camel", tag="BackupMissed"):
    """No backup was initiated within an hour of `expected_date`, its scheduled start.

    `missing_since_date`: the first scheduled start that was missed since the last success; None where nobody has said.
    """

    expected_date: Timestamp
    missing_since_date: Timestamp | None = None

    @property
    def event_type(self) -> EventType:
        """Always `Backup.Missing`."""
        return EventType.MISSING

    @property
    def occurred_at(self) -> Timestamp:
        """When the event happened: the scheduled start that was missed."""
        return self.expected_date

    @property
    def subject_id(self) -> str:
        """What the event is about, unique together with its time: the server policy."""
        return self.server_policy_id


class BackupRecovered(_Ended, frozen=True, kw_only=True, rename="camel", tag="BackupRecovered"):
    """The first success after backups that failed or were missed; written by the notifier.

    `failing_since_date`: the end of the first that failed, or the scheduled start of the first that was missed,
    whichever is earlier; `failed` and `missed`: how many since.
    """

    failing_since_date: Timestamp
    failed: Annotated[int, Meta(ge=0)]
    missed: Annotated[int, Meta(ge=0)]

    @property
    def event_type(self) -> EventType:
        """Always `Backup.Recovered`."""
        return EventType.RECOVERED


# The statuses of account policies and server policies: by all but the first no backups are made.
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"


class ServerPolicyChanged(_Message, frozen=True, kw_only=True, rename="camel", tag="ServerPolicyChanged"):
    """One server policy (a server under an account policy) as it is since `changed_date`."""

    server_policy_id: Identifier
    account_policy_id: Identifier
    name: Name
    clc_account_alias: AccountAlias
    server_id: Identifier
    storage_region: Name
    account_policy_status: Name
    server_policy_status: Name
    changed_date: Timestamp
    backup_schedule: str | None = None
    backup_interval_hours: Annotated[int, Meta(ge=1, le=8784)] | None = None
    timezone: str = "UTC"


class Heartbeat(_Message, frozen=True, kw_only=True, rename="camel", tag="Heartbeat"):
    """Sent through the queue by missed_backups each minute: once it is read, so is all that was sent before it."""

    sent_date: Timestamp


type RecordedEvent = BackupFinished | BackupMissed
"""What became of a backup: kept, reported, and told by e-mail too."""
type Event = RecordedEvent | BackupRecovered
"""The messages that customers are told of."""
type Message = BackupStarted | BackupFinished | BackupMissed | BackupRecovered | ServerPolicyChanged | Heartbeat
_MESSAGES = (BackupStarted, BackupFinished, BackupMissed, BackupRecovered, ServerPolicyChanged, Heartbeat)


def without_output[N: Event](event: N) -> N:
    """The notice for those who have not asked for what the backup said of itself."""
    return msgspec.structs.replace(event, output=None) if isinstance(event, BackupFinished) and event.output else event


_ALLOWED = {
    "$.type": ", ".join(message.__name__ for message in _MESSAGES),
    "$.restorePointCreationStatus": ", ".join(BackupStatus),
    "$.delivery.event": ", ".join(EventType),
}
_LONGEST_REASON = 200


def _decode_own_type(expected: type, value: object) -> Any:
    return BackupOutput.of(value) if expected is BackupOutput else Timestamp.decode(expected, value)


_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Union[_MESSAGES], dec_hook=_decode_own_type)  # noqa: UP007


def parse_message(body: str) -> Message:
    """The message that a queue record's body carries; `InvalidMessage` names the field that makes it unusable."""
    return decode(_DECODER, body)


def encode_message(message: Message) -> str:
    """The message as it goes on the queue; `parse_message` reads it back."""
    return encode(message)


def decode[M](decoder: msgspec.json.Decoder[M], body: str) -> M:
    """What the JSON text says, or `InvalidMessage`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidMessage("$", f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidMessage("$", "nested too deeply") from None


def encode(message: msgspec.Struct) -> str:
    """The message as JSON text."""
    return msgspec.json.encode(message, enc_hook=_encode_own_type).decode()


def _encode_own_type(value: Any) -> str:
    if isinstance(value, Timestamp):
        return iso_milliseconds(value)
    if isinstance(value, BackupOutput):
        return str(value)
    raise NotImplementedError(type(value))


def _invalid(error: str) -> InvalidMessage:
    """What msgspec says (`<reason> - at `<path>``), with what it leaves out: the values that are allowed."""
    # The reason may quote the sender's own text, of any length.
    reason, _, path = error.rpartition(" - at ") if " - at `$" in error else (error, "", "`$`")
    field = path.strip("`")
    allowed = f"; allowed: {_ALLOWED[field]}" if field in _ALLOWED else ""
    return InvalidMessage(field, textwrap.shorten(reason, _LONGEST_REASON, placeholder="…") + allowed)
