"""Sends recipients a notice at once: one e-mail for all trouble of a batch.

Each backup records the addresses that were sent an e-mail about it, so a message that comes again sends nothing. Two
batches that hold the same message at the same time may send it twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.settings import Text
from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupStale,
    BackupUnfinished,
    RecordedEvent,
    parse_message,
)
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.reports.mailer import LONGEST_SEND, EmailSettings, Mailer
from backup_webhooks.reports.notice_email import notice_email
from backup_webhooks.reports.recipients import Recipient
from backup_webhooks.reports.settings_store import ReportSettingsStore

logger = Logger(child=True)


class EmailNoticesSettings(EmailSettings, frozen=True, kw_only=True):
    """The settings of email_notices."""

    webhooks_table: Text
    backups_table: Text


@dataclass(frozen=True, slots=True)
class Emailed:
    """How many e-mails SES took, how many it did not, and the ids of the messages to deliver again."""

    sent: int
    failed: int
    again: Collection[str]


@dataclass(frozen=True, slots=True)
class EmailNotices:
    """Handles batches. After an error of SES or DynamoDB, SQS delivers that account's messages again, and no others."""

    settings: ReportSettingsStore
    backups: BackupsStore
    mailer: Mailer
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: EmailNoticesSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return it on the tables and the sender that the settings name."""
        dynamodb = aws.dynamodb()
        return cls(
            settings=ReportSettingsStore(dynamodb, settings.webhooks_table),
            backups=BackupsStore(dynamodb, settings.backups_table),
            mailer=Mailer.of(settings, aws),
            clock=clock,
        )

    def send(self, bodies: Mapping[str, str], deadline: datetime) -> Emailed:
        """Send notices of the messages, given by their ids. Messages that come too close to `deadline` are left."""
        again: set[str] = set()
        by_account: dict[str, dict[str, RecordedEvent]] = defaultdict(dict)
        for message_id, body in bodies.items():
            try:
                event = _parse(body)
            except InvalidMessage as error:
                logger.warning(
                    "message rejected",
                    extra={"message_id": message_id, "field": error.field, "reason": error.reason},
                )
                again.add(message_id)
            else:
                by_account[event.account_alias][message_id] = event
        sent = failed = 0
        for account, events in by_account.items():
            try:
                taken, not_taken = self._send_account(account, events, deadline)
            except (BotoCoreError, ClientError) as error:
                logger.error("notices failed", extra={"account": account, "reason": str(error)})
                taken, not_taken = 0, 1
            except Exception:
                # An error in one account must not affect the others.
                logger.exception("notices failed", extra={"account": account})
                taken, not_taken = 0, 1
            sent, failed = sent + taken, failed + not_taken
            again.update(events if not_taken else ())
        return Emailed(sent, failed, again)

    def _send_account(self, account: str, events: Mapping[str, RecordedEvent], deadline: datetime) -> tuple[int, int]:
        """Return how many e-mails SES took, and how many it did not take or were left for lack of time."""
        settings = self.settings.load(account)
        recipients = [recipient for recipient in settings.recipients if recipient.events]
        if not recipients:
            return 0, 0
        backups = {Backup.of(event, event.occurred_at): event for event in events.values()}
        emailed = self.backups.emailed(list(backups))
        taken = not_taken = 0
        for recipient in recipients:
            new = {
                backup: event
                for backup, event in backups.items()
                if event.event_type in recipient.events and recipient.address not in emailed[backup]
            }
            if not new:
                continue
            if self.clock() < deadline - LONGEST_SEND and self._send(account, recipient, new, settings.zone):
                taken += 1
            else:
                not_taken += 1
        return taken, not_taken

    def _send(self, account: str, recipient: Recipient, new: Mapping[Backup, RecordedEvent], zone: ZoneInfo) -> bool:
        link = self.mailer.unsubscribe_url(account, recipient.unsubscribe_token)
        email = notice_email(account, list(new.values()), zone, self.mailer.page_url, link)
        if reason := self.mailer.send(recipient.address, email, link):
            logger.error("notices could not be sent", extra={"account": account, "reason": reason})
            return False
        for backup in new:
            self.backups.mark_emailed(backup, recipient.address)
        return True


def _parse(body: str) -> RecordedEvent:
    message = parse_message(body)
    if isinstance(message, BackupFinished | BackupMissed | BackupUnfinished | BackupStale):
        return message
    raise InvalidMessage("$.type", "must be BackupFinished, BackupMissed, BackupUnfinished or BackupStale")
