"""A delivery: one notice to one target, the thing that is attempted once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from backup_webhooks import __version__
from backup_webhooks.messages import Notice
from backup_webhooks.moments import iso_milliseconds
from backup_webhooks.payloads import render
from backup_webhooks.targets import Target


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be posted where. Two receives of one message make equal deliveries, with equal keys and ids."""

    target: Target
    occurred_at: datetime
    subject_id: str
    body: bytes

    @classmethod
    def of(cls, notice: Notice, target: Target) -> Self:
        """The notice in the target's format."""
        return cls(target, notice.occurred_at, notice.subject_id, render(target.format, notice))

    @property
    def account_day(self) -> str:
        """`{account}#{yyyy-mm-dd}`: the account and the day of the event, UTC."""
        return f"{self.target.account}#{self.occurred_at.astimezone(UTC):%Y-%m-%d}"

    @property
    def sort_key(self) -> str:
        """`{event time, ISO ms}#{event}#{restorePointId or serverPolicyId}#{targetId}`."""
        return "#".join((iso_milliseconds(self.occurred_at), self.target.event, self.subject_id, self.target.target_id))

    @property
    def webhook_id(self) -> str:
        """The receiver's key against repetition (Standard Webhooks): the same for every attempt at this delivery."""
        return "msg_" + hashlib.sha256(f"{self.account_day}#{self.sort_key}".encode()).hexdigest()[:32]

    def headers(self, now: datetime) -> dict[str, str]:
        """The headers of an attempt that is made `now`, for `body`."""
        return {
            "content-type": "application/json",
            "user-agent": f"SimpleBackupWebhooks/{__version__}",
            "webhook-id": self.webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
