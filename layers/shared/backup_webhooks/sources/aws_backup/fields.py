"""The fields of AWS Backup's events and answers, read: `InvalidMessage` names one that can't be. Pure.

`path` is where the fields stand in an event: `$` or `$.detail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.timestamps import Timestamp

# The text form in which AWS writes some dates of its events: `Jul 15, 2020 9:39:07 PM`, in UTC.
_TEXT_DATE = "%b %d, %Y %I:%M:%S %p"


def lowered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an answer under the names that events have: `BackupJobId` as `backupJobId`."""
    return {field[:1].lower() + field[1:]: value for field, value in fields.items()}


def mapping(fields: Mapping[str, Any], field: str, path: str) -> Mapping[str, Any]:
    """The object that a field holds; `path` is the field's own."""
    value = fields.get(field)
    if not isinstance(value, Mapping):
        raise InvalidMessage(path, "expected an object")
    return value


def optional_text(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> str | None:
    """The text; None where there is none, or an empty one."""
    value = fields.get(field)
    if value is not None and not isinstance(value, str):
        raise InvalidMessage(f"{path}.{field}", "expected a text")
    return value or None


def required_text(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> str:
    """The text, which must be there."""
    if not (value := optional_text(fields, field, path)):
        raise InvalidMessage(f"{path}.{field}", "required")
    return value


def timestamp(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> Timestamp:
    """The point in time, cut to the second: ISO 8601 or the text form, or a `datetime` of the API."""
    value = fields.get(field)
    try:
        found = Timestamp.of(value) if isinstance(value, datetime) else _parsed(required_text(fields, field, path))
    except InvalidMessage:
        raise
    except ValueError as error:
        raise InvalidMessage(f"{path}.{field}", f"{error}; or Jul 15, 2020 9:39:07 PM") from None
    return Timestamp.of(found.replace(microsecond=0))


def _parsed(text: str) -> datetime:
    try:
        # Newer Javas write a narrow no-break space before PM.
        return Timestamp.of(datetime.strptime(f"{' '.join(text.split())} +0000", f"{_TEXT_DATE} %z"))
    except ValueError:
        return Timestamp.parse(text)


def whole_number(value: Any) -> int | None:
    """`"36048"` in events, a number in the API; a count is no reason to lose a notice."""
    return int(value) if str(value).isascii() and str(value).isdigit() else None
