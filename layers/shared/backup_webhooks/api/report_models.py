"""Recipients of e-mail in and out of the API: addresses, what each gets, and when the reports go out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StrictBool

from backup_webhooks.api.models import Input, Model, Time
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.recipients import MOST_RECIPIENTS, Recipient, ReportFrequency, ReportSettings

_LONGEST_ADDRESS = 254
_LONGEST_ZONE = 64
# So long a report that is due is said to go out just now.
_GOING_OUT = timedelta(hours=1)
# One address as mail on the public internet has it (RFC 5321, without quotes and address literals): SES refuses others,
# each time that it is tried. Who gets it in the end is for the mail servers to say.
_ATOM = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_ADDRESS = rf"^(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])$"
# Places of a computer and of its installer, not of the Earth.
_NO_PLACES = {"Factory", "localtime"}


def _address(text: str) -> str:
    if len(text) > _LONGEST_ADDRESS or not re.fullmatch(_ADDRESS, text):
        raise ValueError(
            f"must be one e-mail address, such as ops@example.com, of at most {_LONGEST_ADDRESS} ASCII characters"
        )
    return text


@cache
def _zones() -> frozenset[str]:
    # By name: to open what a request names would open any file of the time zones' folder.
    return frozenset(available_timezones() - _NO_PLACES)


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
    """An e-mail address and what it gets: the report, and each failed, each missed backup at once.

    The token of his links is his alone, and is not told.
    """

    address: str
    report: ReportFrequency
    on_failure: bool
    on_missing: bool


class RecipientsOut(Model):
    """Who gets e-mail about the account, and when its reports go out.

    `nextReportAt`: null where nobody gets a report, or none can be sent. `sendsEmail`: false where this installation
    has no sender: then nothing goes out, whatever is set. `etag`: for the `If-Match` of changes; `"0"` where nothing
    was ever set.
    """

    recipients: list[RecipientOut]
    hour: int
    timezone: str
    next_report_at: Time | None
    sends_email: bool
    most_recipients: int = MOST_RECIPIENTS
    etag: str

    @classmethod
    def of(cls, settings: ReportSettings, due_at: datetime | None, now: datetime, *, sends_email: bool) -> Self:
        """`due_at`: the end of the report day that is to be told next; None where nobody gets a report."""
        return cls(
            recipients=[
                RecipientOut(
                    address=one.address, report=one.report, on_failure=one.on_failure, on_missing=one.on_missing
                )
                for one in settings.recipients
            ],
            hour=settings.hour,
            timezone=settings.timezone,
            next_report_at=_next_report(settings, due_at, now) if due_at and sends_email else None,
            sends_email=sends_email,
            etag=etag(settings),
        )


_Told = Annotated[Any, Field(description="As in the answer, which may be sent back; it changes nothing")]


class RecipientIn(Input):
    """A recipient as he is to be. What is left out stays as it is; of a new one, `daily` and false are the defaults."""

    address: Address
    report: ReportFrequency | None = None
    on_failure: StrictBool | None = None
    on_missing: StrictBool | None = None

    def onto(self, known: Recipient | None) -> Recipient:
        """The recipient with what is given; `known`: who is stored with this address."""
        given: dict[str, Any] = {
            name: value for name in ("report", "on_failure", "on_missing") if (value := getattr(self, name)) is not None
        }
        return replace(known or Recipient(self.address), address=self.address, **given)


class RecipientsIn(Input):
    """All recipients as they are to be. An hour or a time zone that is left out stays as it is."""

    recipients: Annotated[list[RecipientIn], Field(max_length=MOST_RECIPIENTS)]
    hour: Hour | None = None
    timezone: Zone | None = None
    next_report_at: _Told = None
    sends_email: _Told = None
    most_recipients: _Told = None
    etag: _Told = None

    def check(self) -> None:
        """`InvalidField` for an address that is given twice, whatever its case."""
        positions: dict[str, int] = {}
        for position, recipient in enumerate(self.recipients):
            first = positions.setdefault(recipient.address.lower(), position)
            if first != position:
                reason = f"stands at recipients[{first}] already: each address may be given once"
                raise InvalidField(f"recipients[{position}].address", reason)

    def onto(self, seen: ReportSettings) -> ReportSettings:
        """The settings with what is given. Who stays keeps the token of his links."""
        known = {one.address.lower(): one for one in seen.recipients}
        return replace(
            seen,
            recipients=[one.onto(known.get(one.address.lower())) for one in self.recipients],
            hour=seen.hour if self.hour is None else self.hour,
            timezone=self.timezone or seen.timezone,
        )


def etag(settings: ReportSettings) -> str:
    """By which a change says what it was made to."""
    return f'"{settings.revision}"'


def _next_report(settings: ReportSettings, due_at: datetime, now: datetime) -> datetime:
    """When somebody next gets a report: those who want it weekly, on Mondays."""
    days = ReportDays(settings.hour, settings.zone)
    if due_at < now - _GOING_OUT:
        # One recipient or another can't be reached, and is tried again until then.
        due_at = days.next_end(now)
    wanted: Sequence[ReportFrequency] = [one.report for one in settings.recipients]
    if ReportFrequency.DAILY in wanted or ReportFrequency.WEEKLY not in wanted:
        return due_at
    day = due_at.astimezone(days.zone).date()
    return days.end_of(day + timedelta(days=-day.weekday() % 7))
