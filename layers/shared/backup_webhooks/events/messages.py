"""The messages on BackupEventsQueue as typed, validated values (design section 4).

`parse_message` reads every message. JSON fields have the backup service's names in camel case, Python's are in snake
case. Fields that are not named here are ignored. The length limits keep every name within DynamoDB's keys (1,024 bytes
for a sort key).
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Union

import msgspec
from msgspec import Meta

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.items import PRINTABLE
from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.lenient_json import is_usable, lenient_json
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

AccountAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
Identifier = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=500, pattern=PRINTABLE)]
_OUTPUT = "log"
# A backup that starts so much later than its scheduled start is not missed (FAQ).
TOLERANCE = timedelta(hours=1)
# A sender's clock may be ahead of the queue's by this much.
_MOST_AHEAD = timedelta(minutes=5)


_Count = Annotated[int, Meta(ge=0)]


class EventType(StrEnum):
    """The events that a customer sets targets for: the FAQ's four categories, and three more."""

    FAILURE = "Backup.Failure"
    PARTIAL_SUCCESS = "Backup.PartialSuccess"
    MISSING = "Backup.Missing"
    SUCCESS = "Backup.Success"
    RECOVERED = "Backup.Recovered"
    UNFINISHED = "Backup.Unfinished"
    STALE = "Backup.Stale"

    @property
    def label(self) -> str:
        """Return the event type's name on pages and in e-mail, in the FAQ's words as far as it has them."""
        return _LABELS[self]


_LABELS = {
    EventType.FAILURE: "Backup Failure",
    EventType.PARTIAL_SUCCESS: "Backup Partial Success",
    EventType.MISSING: "Missing Backups",
    EventType.SUCCESS: "Backup Success",
    EventType.RECOVERED: "Backup Recovered",
    EventType.UNFINISHED: "Unfinished Backups",
    EventType.STALE: "Stale Backups",
}
# Trouble lasts until a success ends it.
TROUBLE = (
    EventType.FAILURE,
    EventType.PARTIAL_SUCCESS,
    EventType.MISSING,
    EventType.UNFINISHED,
    EventType.STALE,
)
# Trouble without a restore point. Quiet hours do not suppress it, and e-mail reports it at once.
GRAVE = tuple(event_type for event_type in TROUBLE if event_type is not EventType.PARTIAL_SUCCESS)


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
    """Base of the messages: JSON objects in camel case, whose `type` is the class's name."""


class BackupIdentity(_Message, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """The six fields that each message about a backup has: the account, the server and its policies, the region."""

    account_alias: AccountAlias
    server_id: Identifier
    server_policy_id: Identifier
    account_policy_id: Identifier
    account_policy_name: Name
    storage_region: Name


def identity_of(message: BackupIdentity) -> dict[str, Any]:
    """Return the message's six identity fields by their Python names, as keyword arguments for another message."""
    return {name: getattr(message, name) for name in BackupIdentity.__struct_fields__}


class BackupStarted(BackupIdentity, frozen=True, kw_only=True, rename="camel", tag="BackupStarted"):
    """A server has started a backup."""

    backup_started_date: Timestamp
    restore_point_id: Identifier | None = None


class _Ended(BackupIdentity, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Base of the messages about the end of a backup."""

    restore_point_id: Identifier
    backup_finished_date: Timestamp

    @property
    def occurred_at(self) -> Timestamp:
        """Return when the event happened: the backup's end."""
        return self.backup_finished_date

    @property
    def as_of(self) -> datetime:
        """Return when the event became true: at the backup's end."""
        return self.backup_finished_date

    @property
    def subject_id(self) -> str:
        """Return the restore point's id, which is unique together with the time and the server policy."""
        return self.restore_point_id


# The backup service's counts of a restore point, as `BackupFinished` has them.
COUNTS = (
    "number_of_protected_files",
    "files_transferred_to_storage",
    "bytes_transferred_to_storage",
    "files_failed_transfer_to_storage",
    "bytes_failed_to_transfer",
    "files_removed_from_disk",
    "bytes_in_storage_for_items_removed",
    "unchanged_files_not_transferred",
    "unchanged_bytes_in_storage",
)
# All JSON readers read integers up to here exactly, and no backup has as many bytes.
_LARGEST_COUNT = 2**53


class BackupFinished(_Ended, frozen=True, kw_only=True, rename="camel", tag="BackupFinished"):
    """A backup has ended, with any status."""

    backup_started_date: Timestamp
    restore_point_creation_status: BackupStatus
    # The backup service's counts of a restore point. Any type is accepted: no count may stop the report of a failure.
    number_of_protected_files: Any = None
    files_transferred_to_storage: Any = None
    bytes_transferred_to_storage: Any = None
    files_failed_transfer_to_storage: Any = None
    bytes_failed_to_transfer: Any = None
    files_removed_from_disk: Any = None
    bytes_in_storage_for_items_removed: Any = None
    unchanged_files_not_transferred: Any = None
    unchanged_bytes_in_storage: Any = None
    # Cut to what can be stored; it is never a reason to refuse the message.
    output: BackupOutput | None = msgspec.field(default=None, name=_OUTPUT)
    # The notifier adds it for the targets: the last success before this end.
    last_success_date: Timestamp | None = None

    @property
    def event_type(self) -> EventType | None:
        """Return the event type of this result, or None for a cancelled backup."""
        return _EVENT_OF_STATUS.get(self.restore_point_creation_status)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the usable counts by `COUNTS`, up to 2^53. The backup service writes some as `1.81117417e+08`."""
        numbers = {name: getattr(self, name) for name in COUNTS}
        return {
            name: int(number)
            for name, number in numbers.items()
            if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= _LARGEST_COUNT
        }


class BackupMissed(BackupIdentity, frozen=True, kw_only=True, rename="camel", tag="BackupMissed"):
    """No backup started within an hour of `expected_date`, its expected start.

    `missing_since_date`: the first expected start that was missed since the last success; None if it is unknown.
    `last_success_date`: None before the first.
    """

    expected_date: Timestamp
    missing_since_date: Timestamp | None = None
    last_success_date: Timestamp | None = None

    @property
    def event_type(self) -> EventType:
        """Return `Backup.Missing`."""
        return EventType.MISSING

    @property
    def occurred_at(self) -> Timestamp:
        """Return when the event happened: the expected start that was missed."""
        return self.expected_date

    @property
    def as_of(self) -> datetime:
        """Return when the event became true: at the start's deadline."""
        return self.expected_date + TOLERANCE

    @property
    def subject_id(self) -> str:
        """Return the server policy's id, which is unique together with the time."""
        return self.server_policy_id


class BackupUnfinished(BackupIdentity, frozen=True, kw_only=True, rename="camel", tag="BackupUnfinished"):
    """A backup that started and has not ended within its run limit. missed_backups makes this message.

    `backup_started_date` is as the server sent it. `run_limit_date`: when the limit passed. `unfinished_since_date`:
    when that of the first unfinished backup since the last success passed. `last_success_date`: None before the first.
    """

    backup_started_date: Timestamp
    run_limit_date: Timestamp
    unfinished_since_date: Timestamp
    restore_point_id: Identifier | None = None
    last_success_date: Timestamp | None = None

    @property
    def event_type(self) -> EventType:
        """Return `Backup.Unfinished`."""
        return EventType.UNFINISHED

    @property
    def occurred_at(self) -> Timestamp:
        """Return when the backup started, which no other run shares. The run limit may pass for several at once."""
        return self.backup_started_date

    @property
    def as_of(self) -> datetime:
        """Return when the event became true: when the run limit passed."""
        return self.run_limit_date

    @property
    def subject_id(self) -> str:
        """Return the server policy's id, which is unique together with the time."""
        return self.server_policy_id


class BackupStale(BackupIdentity, frozen=True, kw_only=True, rename="camel", tag="BackupStale"):
    """A server policy whose last success is older than its age limit. missed_backups makes this message.

    `since_date`: the last success, or when counting began, whichever is later. `age_limit_date`: when the limit passed.
    `last_success_date`: None before the first.
    """

    since_date: Timestamp
    age_limit_date: Timestamp
    last_success_date: Timestamp | None = None

    @property
    def event_type(self) -> EventType:
        """Return `Backup.Stale`."""
        return EventType.STALE

    @property
    def occurred_at(self) -> Timestamp:
        """Return when the event happened: the age limit passed."""
        return self.age_limit_date

    @property
    def as_of(self) -> datetime:
        """Return when the event became true: when the age limit passed."""
        return self.age_limit_date

    @property
    def subject_id(self) -> str:
        """Return the server policy's id, which is unique together with the time."""
        return self.server_policy_id


class BackupRecovered(_Ended, frozen=True, kw_only=True, rename="camel", tag="BackupRecovered"):
    """A recovery: the first success after trouble of any kind. The notifier makes this message.

    `failing_since_date`: when the trouble began. The numbers say how many there were since: backups that failed,
    succeeded in part, were missed or were unfinished, and reports that the last success was too old (`stale`).
    """

    failing_since_date: Timestamp
    failed: _Count = 0
    partly_succeeded: _Count = 0
    missed: _Count = 0
    unfinished: _Count = 0
    stale: _Count = 0

    @property
    def event_type(self) -> EventType:
        """Return `Backup.Recovered`."""
        return EventType.RECOVERED


# Statuses of account policies and server policies. Backups are made only while both are active.
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
# A year.
LONGEST_RUN_MINUTES = 525_600


class ServerPolicyChanged(_Message, frozen=True, kw_only=True, rename="camel", tag="ServerPolicyChanged"):
    """The state of a server policy (a server under an account policy) since `changed_date`."""

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
    longest_run_minutes: Annotated[int, Meta(ge=5, le=LONGEST_RUN_MINUTES)] | None = None
    good_backup_age_hours: Annotated[int, Meta(ge=1, le=8760)] | None = None
    timezone: str = "UTC"

    @property
    def account_alias(self) -> str:
        """Return the account, by the name that it has in the other messages."""
        return self.clc_account_alias


class AccountChanged(_Message, frozen=True, kw_only=True, rename="camel", tag="AccountChanged"):
    """An account's place among the accounts since `changed_date`. `parent_alias`: None if no account is above it."""

    account_alias: AccountAlias
    parent_alias: AccountAlias | None
    changed_date: Timestamp


class Heartbeat(_Message, frozen=True, kw_only=True, rename="camel", tag="Heartbeat"):
    """Sent by missed_backups each minute. Once it is read, all messages sent before it have been read too."""

    sent_date: Timestamp


type DetectedEvent = BackupMissed | BackupUnfinished | BackupStale
"""The events that missed_backups finds."""
type RecordedEvent = BackupFinished | DetectedEvent
"""The events that are recorded in the history of backups, and reported by e-mail."""
type Event = RecordedEvent | BackupRecovered
"""The messages that are delivered to customers' targets."""
type Message = BackupStarted | Event | ServerPolicyChanged | AccountChanged | Heartbeat
_MESSAGES = (
    BackupStarted,
    BackupFinished,
    BackupMissed,
    BackupUnfinished,
    BackupStale,
    BackupRecovered,
    ServerPolicyChanged,
    AccountChanged,
    Heartbeat,
)


def judged[M: Message](message: M, sent_at: datetime | None) -> M:
    """Return the message as it is believed: dates over 5 minutes ahead of `sent_at` are that.

    `sent_at`: when the message was sent to the queue, by the queue's clock; None: unknown, so its dates are believed.
    """
    if sent_at is None:
        return message
    ahead = {
        name: Timestamp.of(sent_at)
        for name in message.__struct_fields__
        if isinstance(date := getattr(message, name), Timestamp) and date > sent_at + _MOST_AHEAD
    }
    return msgspec.structs.replace(message, **ahead) if ahead else message


def policy_mark(subject_id: str, server_policy_id: str) -> str:
    """Return 8 hexadecimal digits of the server policy, for what is about a restore point: several may share one.

    Empty for what is about the server policy itself.
    """
    return "" if subject_id == server_policy_id else hashlib.sha256(server_policy_id.encode()).hexdigest()[:8]


def without_output[E: Event](event: E) -> E:
    """Return the event without the backup output, for receivers that have not asked for it."""
    return msgspec.structs.replace(event, output=None) if isinstance(event, BackupFinished) and event.output else event


_ALLOWED = {
    "$.type": ", ".join(message.__name__ for message in _MESSAGES),
    "$.restorePointCreationStatus": ", ".join(BackupStatus),
    "$.delivery.event": ", ".join(EventType),
}
_LONGEST_REASON = 200


def _decode_own_type(expected: type, value: object) -> Any:
    return BackupOutput.of(value) if expected is BackupOutput else Timestamp.decode(expected, value)


# The optional fields of the messages about backups, by the messages' names.
_FACTS = {
    message.__name__: frozenset(fact.encode_name for fact in msgspec.structs.fields(message) if not fact.required)
    for message in _MESSAGES
    if issubclass(message, BackupIdentity)
}
_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Union[_MESSAGES], dec_hook=_decode_own_type)  # noqa: UP007


def parse_message(body: str) -> Message:
    """Return the message in a queue record's body. Raise as `parse_leniently` does."""
    return parse_leniently(body)[0]


def parse_leniently(body: str) -> tuple[Message, Sequence[str]]:
    """Return the message in a queue record's body, and the names of its optional facts that cannot be used.

    They are left out: no fact about a backup may stop the report of its failure. Raise `InvalidMessage`, which names
    the field, for a message that lacks what it needs, or that is about no backup.
    """
    try:
        return decode(_DECODER, body), ()
    except InvalidMessage:
        fields = lenient_json(body)
        facts = _FACTS.get(str(fields.get("type"))) if isinstance(fields, dict) else None
        if facts is None:
            raise
    dropped: list[str] = []
    while True:
        try:
            return _converted(fields), dropped
        except InvalidMessage as error:
            name = error.field.removeprefix("$.")
            if name not in facts or name not in fields:
                raise
            del fields[name]
            dropped.append(name)


def _converted(fields: Mapping[str, Any]) -> Message:
    """Return the message that has these fields. Raise `InvalidMessage` for the first that cannot be used."""
    for name, value in fields.items():
        # The backup output takes any text.
        if name != _OUTPUT and not is_usable(value):
            raise InvalidMessage(f"$.{name}", "a number is too large, or a text has half a character")
    try:
        message: Message = msgspec.convert(fields, Union[_MESSAGES], dec_hook=_decode_own_type)  # noqa: UP007
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    return message


def encode_message(message: Message) -> str:
    """Return the message as a queue record's body, which `parse_message` reads back."""
    return encode(message)


def decode[M](decoder: msgspec.json.Decoder[M], body: str) -> M:
    """Return the value that the decoder reads from the JSON text. Raise `InvalidMessage` if it reads none."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidMessage("$", f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidMessage("$", "nested too deeply") from None


def encode(message: msgspec.Struct) -> str:
    """Return the message as JSON text."""
    return msgspec.json.encode(message, enc_hook=_encode_own_type).decode()


def _encode_own_type(value: Any) -> str:
    if isinstance(value, Timestamp):
        return iso_milliseconds(value)
    if isinstance(value, BackupOutput):
        return str(value)
    raise NotImplementedError(type(value))


def _invalid(error: str) -> InvalidMessage:
    """Return the error for msgspec's text (`<reason> - at `<path>``), with the allowed values added."""
    # The reason may quote the sender's text, of any length.
    reason, _, path = error.rpartition(" - at ") if " - at `$" in error else (error, "", "`$`")
    field = path.strip("`")
    allowed = f"; allowed: {_ALLOWED[field]}" if field in _ALLOWED else ""
    return InvalidMessage(field, textwrap.shorten(reason, _LONGEST_REASON, placeholder="…") + allowed)
