"""Finds the accounts whose report is due, and puts each on ReportsQueue, so that a failure affects one account only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aws_lambda_powertools import Logger

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.queue import send_batches
from backup_webhooks.aws.settings import Text
from backup_webhooks.events.messages import AccountAlias, decode, encode
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.mailer import EmailSettings
from backup_webhooks.reports.schedule_store import DueReport, ReportScheduleStore

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A report's reads, which are eventually consistent, find a backup that was recorded so long ago.
SETTLED_AFTER = timedelta(minutes=2)
# A report waits at most so long for a queue that is behind, as its reader may take a missing report for trouble.
LONGEST_WAIT = timedelta(hours=2)
# The pause before another try: at least this, and a quarter of the time since the day's report was due.
SHORTEST_PAUSE = timedelta(minutes=15)
_DAY = timedelta(days=1)
_RESERVE = timedelta(seconds=10)

logger = Logger(child=True)


class DailyReportSettings(EmailSettings, frozen=True, kw_only=True):
    """The settings of daily_report."""

    webhooks_table: Text
    server_policies_table: Text
    backups_table: Text
    deliveries_table: Text
    reports_queue_url: Text


class AccountReport(msgspec.Struct, frozen=True):
    """A message on ReportsQueue: the account's report is due. `at`: the time of the tick that found it."""

    account: AccountAlias
    at: Timestamp


_decoder = msgspec.json.Decoder(AccountReport, dec_hook=Timestamp.decode)


def parse_account_report(body: str) -> AccountReport:
    """Return the message. Raise `InvalidMessage`, which names the field, if it cannot be used."""
    return decode(_decoder, body)


@dataclass(frozen=True, slots=True)
class DueReports:
    """Finds due reports. Its methods raise botocore's errors."""

    schedule: ReportScheduleStore
    watermark_store: WatermarkStore
    sqs: SQSClient
    queue_url: str
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DailyReportSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return it on the tables and the queue that the settings name."""
        dynamodb = aws.dynamodb()
        return cls(
            schedule=ReportScheduleStore(dynamodb, settings.webhooks_table),
            watermark_store=WatermarkStore(dynamodb, settings.server_policies_table),
            sqs=aws.sqs(),
            queue_url=settings.reports_queue_url,
            clock=clock,
        )

    def tick(self, now: datetime, deadline: datetime) -> int:
        """Put each account whose report is due at `now` on the queue, and return their number.

        A report waits until the backup events of its period are known to be read. Near `deadline`, the function's end,
        the rest is left to the next tick.
        """

        def entry_of(due: DueReport) -> dict[str, Any]:
            return {"MessageBody": encode(AccountReport(due.account, Timestamp.of(now)))}

        batches = send_batches(self.sqs, self.queue_url, self._postponed(now, deadline - _RESERVE), entry_of)
        return sum(len(taken) + len(refused) for taken, refused in batches)

    def _postponed(self, now: datetime, stop_at: datetime) -> Iterator[DueReport]:
        """Yield the reports that are due, each postponed so that no other tick sends it too.

        If its message is lost, a later tick finds the report again after the pause.
        """
        for due in self._ready(now):
            if self.clock() >= stop_at:
                logger.warning("out of time; the next tick goes on")
                return
            if self.schedule.postpone(due, now + _pause(due, now)):
                yield due

    def _ready(self, now: datetime) -> Iterator[DueReport]:
        read_until = self.watermark_store.load().newest_read or now
        for due in self.schedule.due(now - SETTLED_AFTER):
            if due.due_at <= read_until or due.due_at <= now - LONGEST_WAIT:
                yield due


def _pause(due: DueReport, now: datetime) -> timedelta:
    since = (now - due.due_at) % _DAY
    # The pause must not delay the next day's report.
    return min(max(SHORTEST_PAUSE, since / 4), _DAY - since)
