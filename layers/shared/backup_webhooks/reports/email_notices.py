"""Tells recipients at once of what failed or was missed, a whole batch of it in one e-mail to each.

What one e-mail has told is noted at each backup, so that messages that come again tell nothing again; two batches that
hold the same message at the same time may.
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
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.settings import EmailNoticesSettings
from backup_webhooks.events.messages import BackupFinished, BackupMissed, RecordedEvent, parse_message
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.reports.mailer import LONGEST_SEND, Mailer
from backup_webhooks.reports.notice_email import notice_email
from backup_webhooks.reports.recipients import Recipient
from backup_webhooks.reports.settings_store import ReportSettingsStore

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Emailed:
    """How many e-mails SES took, how many not, and the ids of the messages that must come again."""

    sent: int
    failed: int
    again: Collection[str]


@dataclass(frozen=True, slots=True)
class EmailNotices:
    """Handles batches. SES's errors, and DynamoDB's, make an account's messages come again, and no other's."""

    settings: ReportSettingsStore
    backups: BackupsStore
    mailer: Mailer
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: EmailNoticesSettings) -> Self:
        """One on the tables and the sender that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            settings=ReportSettingsStore(dynamodb, settings.webhooks_table),
            backups=BackupsStore(dynamodb, settings.backups_table),
            mailer=Mailer.of(settings.email),
        )

    def tell(self, bodies: Mapping[str, str], deadline: datetime) -> Emailed:
        """Tell of what the messages, by their ids, say; what there is no time for before the deadline comes again."""
        again: set[str] = set()
        of_account: dict[str, dict[str, RecordedEvent]] = defaultdict(dict)
        for message_id, body in bodies.items():
            try:
                event = _notice(body)
            except InvalidMessage as error:
                logger.warning(
                    "message rejected",
                    extra={"message_id": message_id, "field": error.field, "reason": error.reason},
                )
                again.add(message_id)
            else:
                of_account[event.account_alias][message_id] = event
        sent = failed = 0
        for account, events in of_account.items():
            try:
                taken, not_taken = self._tell_account(account, events, deadline)
            except (BotoCoreError, ClientError) as error:
                logger.error("notices failed", extra={"account": account, "reason": str(error)})
                taken, not_taken = 0, 1
            except Exception:
                # Whatever it is: an account's trouble is no other's.
                logger.exception("notices failed", extra={"account": account})
                taken, not_taken = 0, 1
            sent, failed = sent + taken, failed + not_taken
            again.update(events if not_taken else ())
        return Emailed(sent, failed, again)

    def _tell_account(self, account: str, events: Mapping[str, RecordedEvent], deadline: datetime) -> tuple[int, int]:
        """How many e-mails SES took, and how many not, or there was no time for."""
        settings = self.settings.load(account)
        recipients = [one for one in settings.recipients if one.events]
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


def _notice(body: str) -> RecordedEvent:
    message = parse_message(body)
    if isinstance(message, BackupFinished | BackupMissed):
        return message
    raise InvalidMessage("$.type", "must be BackupFinished or BackupMissed")
