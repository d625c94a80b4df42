"""Models of the e-mail recipients: their addresses, the e-mail that each gets, and the time of the reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StrictBool

from backup_webhooks.api.models import Input, Model, TimestampOut
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.recipients import MOST_RECIPIENTS, Recipient, ReportFrequency, ReportSettings

_LONGEST_ADDRESS = 254
_LONGEST_ZONE = 64
# For this long a report that is due counts as being sent.
_SENDING_TIME = timedelta(hours=1)
# An address of the public internet (RFC 5321, without quotes and address literals): SES refuses all others at each
# attempt. Only the mail servers know whether an address exists.
_ATOM = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_ADDRESS = rf"^(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])$"
# Zones of a computer and of its installer, not of a place.
_NOT_PLACES = {"Factory", "localtime"}


def _address(text: str) -> str:
    if len(text) > _LONGEST_ADDRESS or not re.fullmatch(_ADDRESS, text):
        raise ValueError(
            f"must be one e-mail address, such as ops@example.com, of at most {_LONGEST_ADDRESS} ASCII characters"
        )
    return text


@cache
def _zones() -> frozenset[str]:
    # Compared by name: opening the zone that a request names could open any file in the zones' folder.
    return frozenset(available_timezones() - _NOT_PLACES)


def _zone(text: str) -> str:
    if text not in _zones():
        raise ValueError("must be an IANA time zone, such as Europe/Berlin or UTC")
    return text


Address = Annotated[
    str,
    AfterValidator(_address),
    Field(
        examples=["ops@example.com"],
        json_schema_extra={"format": "email", "maxLength": _LONGEST_ADDRESS, "pattern": _ADDRESS},
    ),
]
Hour = Annotated[int, Field(ge=0, le=23, strict=True)]
Zone = Annotated[
    str, AfterValidator(_zone), Field(examples=["Europe/Berlin"], json_schema_extra={"maxLength": _LONGEST_ZONE})
]


class RecipientOut(Model):
    """An e-mail address, its report, and whether it gets an e-mail at once for each failed or missed backup.

    The token in the recipient's links is secret, and no answer holds it.
    """

    address: str
    report: ReportFrequency
    on_failure: bool
    on_missing: bool


class RecipientsOut(Model):
    """The e-mail recipients of an account, and the time of its reports.

    `nextReportAt`: null if no recipient gets a report, or no e-mail can be sent. `sendsEmail`: false if this
    installation has no sender, and so sends no e-mail. `etag`: for the `If-Match` of changes; `"0"` before the first.
    """

    recipients: list[RecipientOut]
    hour: int
    timezone: str
    next_report_at: TimestampOut | None
    sends_email: bool
    most_recipients: int = MOST_RECIPIENTS
    etag: str

    @classmethod
    def of(cls, settings: ReportSettings, due_at: datetime | None, now: datetime, *, sends_email: bool) -> Self:
        """Return the answer. `due_at`: the end of the next report day, or None if no recipient gets a report."""
        return cls(
            recipients=[
                RecipientOut(
                    address=recipient.address,
                    report=recipient.report,
                    on_failure=recipient.on_failure,
                    on_missing=recipient.on_missing,
                )
                for recipient in settings.recipients
            ],
            hour=settings.hour,
            timezone=settings.timezone,
            next_report_at=_next_report(settings, due_at, now) if due_at and sends_email else None,
            sends_email=sends_email,
            etag=etag(settings),
        )


_ReadOnly = Annotated[Any, Field(description="As in the answer, which may be sent back; it changes nothing")]


class RecipientIn(Input):
    """A recipient to store. Fields that are left out stay as they are; the defaults are `daily` and false."""

    address: Address
    report: ReportFrequency | None = None
    on_failure: StrictBool | None = None
    on_missing: StrictBool | None = None

    def applied_to(self, stored: Recipient | None) -> Recipient:
        """Return the stored recipient of this address with the given fields, or a new one."""
        given: dict[str, Any] = {
            name: value for name in ("report", "on_failure", "on_missing") if (value := getattr(self, name)) is not None
        }
        return replace(stored or Recipient(self.address), address=self.address, **given)


class RecipientsIn(Input):
    """All recipients to store. An hour or a time zone that is left out stays as it is."""

    recipients: Annotated[list[RecipientIn], Field(max_length=MOST_RECIPIENTS)]
    hour: Hour | None = None
    timezone: Zone | None = None
    next_report_at: _ReadOnly = None
    sends_email: _ReadOnly = None
    most_recipients: _ReadOnly = None
    etag: _ReadOnly = None

    def check(self) -> None:
        """Raise `InvalidField` if an address is given twice, in whatever case."""
        positions: dict[str, int] = {}
        for position, recipient in enumerate(self.recipients):
            first = positions.setdefault(recipient.address.lower(), position)
            if first != position:
                reason = f"stands at recipients[{first}] already: each address may be given once"
                raise InvalidField(f"recipients[{position}].address", reason)

    def applied_to(self, stored: ReportSettings) -> ReportSettings:
        """Return the stored settings with the given fields. Recipients who stay keep the token of their links."""
        known = {recipient.address.lower(): recipient for recipient in stored.recipients}
        return replace(
            stored,
            recipients=[recipient.applied_to(known.get(recipient.address.lower())) for recipient in self.recipients],
            hour=stored.hour if self.hour is None else self.hour,
            timezone=self.timezone or stored.timezone,
        )


def etag(settings: ReportSettings) -> str:
    """Return the ETag by which a change names the version that it was made to."""
    return f'"{settings.revision}"'


def _next_report(settings: ReportSettings, due_at: datetime, now: datetime) -> datetime:
    """Return when a recipient next gets a report: weekly reports go out on Mondays."""
    days = ReportDays(settings.hour, settings.zone)
    if due_at < now - _SENDING_TIME:
        # A recipient cannot be reached: the due report is tried again until the next one.
        due_at = days.next_end(now)
    frequencies: Sequence[ReportFrequency] = [recipient.report for recipient in settings.recipients]
    if ReportFrequency.DAILY in frequencies or ReportFrequency.WEEKLY not in frequencies:
        return due_at
    day = due_at.astimezone(days.zone).date()
    return days.end_of(day + timedelta(days=-day.weekday() % 7))
