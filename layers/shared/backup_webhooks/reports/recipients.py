"""The recipients of e-mail about an account's backups, and what each gets when, as set on the page "Monitoring"."""

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
    """One e-mail address. `on_failure`: whether it gets each failed backup at once.

    `on_missing`: whether it gets at once what missed_backups finds: missed, unfinished and stale backups.
    `unsubscribe_token` stands in the links to unsubscribe. It permits its holder to end this recipient's e-mail, and
    nothing else.
    """

    address: str
    report: ReportFrequency = ReportFrequency.DAILY
    on_failure: bool = False
    on_missing: bool = False
    unsubscribe_token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @property
    def events(self) -> frozenset[EventType]:
        """The types of events that the recipient gets at once."""
        wanted = {
            EventType.FAILURE: self.on_failure,
            EventType.MISSING: self.on_missing,
            EventType.UNFINISHED: self.on_missing,
            EventType.STALE: self.on_missing,
        }
        return frozenset(event_type for event_type, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """An account's recipients, and the hour (0 to 23, in the IANA time zone) at which its report days end.

    `revision` counts the customer's changes.
    """

    recipients: Sequence[Recipient] = ()
    hour: int = DEFAULT_HOUR
    timezone: str = DEFAULT_TIMEZONE
    revision: int = 0

    @property
    def zone(self) -> ZoneInfo:
        """The time zone, or UTC if it is no longer known: a report at another hour is better than none."""
        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            return ZoneInfo(DEFAULT_TIMEZONE)

    def recipient_of(self, token: str) -> Recipient | None:
        """Return the recipient with that token, or None if there is none."""
        for recipient in self.recipients:
            if secrets.compare_digest(recipient.unsubscribe_token, token):
                return recipient
        return None

    def without(self, recipient: Recipient | None) -> Self:
        """Return the settings without that recipient."""
        return replace(self, recipients=[other for other in self.recipients if other is not recipient])
