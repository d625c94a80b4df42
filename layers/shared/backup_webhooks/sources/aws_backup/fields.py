"""Reads the fields of AWS Backup's events and answers. `InvalidMessage` names a field that cannot be read. Pure.

`path` is the place of the fields in an event: `$` or `$.detail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.timestamps import Timestamp

# AWS writes some dates of its events as `Jul 15, 2020 9:39:07 PM`, in UTC.
_TEXT_DATE = "%b %d, %Y %I:%M:%S %p"


def lowered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an API answer under the names of events: `BackupJobId` as `backupJobId`."""
    return {field[:1].lower() + field[1:]: value for field, value in fields.items()}


def mapping(fields: Mapping[str, Any], field: str, path: str) -> Mapping[str, Any]:
    """Return the object in the field. Raise `InvalidMessage` if it is none; `path` is the field's own."""
    value = fields.get(field)
    if not isinstance(value, Mapping):
        raise InvalidMessage(path, "expected an object")
    return value


def optional_text(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> str | None:
    """Return the text, or None if it is missing or empty. Raise `InvalidMessage` for another type."""
    value = fields.get(field)
    if value is not None and not isinstance(value, str):
        raise InvalidMessage(f"{path}.{field}", "expected a text")
    return value or None


def required_text(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> str:
    """Return the text. Raise `InvalidMessage` if it is missing or empty."""
    if not (value := optional_text(fields, field, path)):
        raise InvalidMessage(f"{path}.{field}", "required")
    return value


def timestamp(fields: Mapping[str, Any], field: str, path: str = "$.detail") -> Timestamp:
    """Return the timestamp, cut to the second. Raise `InvalidMessage` if it cannot be read.

    It is ISO 8601 or AWS's text form in an event, and a `datetime` in an API answer.
    """
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
        # Newer versions of Java write a narrow no-break space before PM; `split` removes it.
        return Timestamp.of(datetime.strptime(f"{' '.join(text.split())} +0000", f"{_TEXT_DATE} %z"))
    except ValueError:
        return Timestamp.parse(text)


def whole_number(value: Any) -> int | None:
    """Return the number, which is text in events, or None for anything else.

    Nothing is raised: a bad count must not cost an event.
    """
    return int(value) if str(value).isascii() and str(value).isdigit() else None
