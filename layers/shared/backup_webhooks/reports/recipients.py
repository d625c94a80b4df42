"""Who gets e-mail about an account's backups, what, and when: what a customer sets on the page "Monitoring"."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import EventType

DEFAULT_HOUR = 7
DEFAULT_TIMEZONE = "UTC"
MOST_RECIPIENTS = 20


class ReportFrequency(StrEnum):
    """How often a recipient gets the report."""

    DAILY = "daily"
    WEEKLY = "weekly"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One e-mail address. `on_failure`, `on_missing`: whether each failed, each missed backup is told at once.

    `unsubscribe_token` is what the links to unsubscribe are known by: whoever has it can end this recipient's e-mail,
    and nothing else.
    """

    address: str
    report: ReportFrequency = ReportFrequency.DAILY
    on_failure: bool = False
    on_missing: bool = False
    unsubscribe_token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @property
    def events(self) -> frozenset[EventType]:
        """The events of which he is told at once."""
        wanted = {EventType.FAILURE: self.on_failure, EventType.MISSING: self.on_missing}
        return frozenset(event_type for event_type, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """An account's recipients, and the hour (0 to 23, in the IANA time zone) to which its reports reach.

    `revision` counts the customer's changes.
    """

    recipients: Sequence[Recipient] = ()
    hour: int = DEFAULT_HOUR
    timezone: str = DEFAULT_TIMEZONE
    revision: int = 0

    @property
    def zone(self) -> ZoneInfo:
        """The time zone; UTC where it is none that is known any more: reports come at another hour, and come."""
        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            return ZoneInfo(DEFAULT_TIMEZONE)

    def recipient_of(self, token: str) -> Recipient | None:
        """Whose links have that token; None where they are nobody's."""
        return next((one for one in self.recipients if secrets.compare_digest(one.unsubscribe_token, token)), None)

    def without(self, gone: Recipient | None) -> Self:
        """The settings without that recipient."""
        return replace(self, recipients=[one for one in self.recipients if one is not gone])
