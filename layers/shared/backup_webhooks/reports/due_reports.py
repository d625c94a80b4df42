"""Finds the accounts whose report is due, and puts each on a queue: an account that takes long, or fails, is alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Self

import msgspec
from aws_lambda_powertools import Logger

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import DailyReportSettings
from backup_webhooks.events.messages import AccountAlias, decode, encode
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.schedule_store import DueReport, ReportScheduleStore

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A backup that was recorded before that is seen by a report's reads, which are eventually consistent.
SETTLED_AFTER = timedelta(minutes=2)
# For so long a report waits for a queue that is behind, and not longer: silence is what its reader fears.
MOST_PATIENCE = timedelta(hours=2)
# Before another try: at least this, and a quarter of the time since the day's report was due.
SHORTEST_PAUSE = timedelta(minutes=15)
_DAY = timedelta(days=1)
_RESERVE = timedelta(seconds=10)
_SQS_BATCH = 10

logger = Logger(child=True)


class AccountReport(msgspec.Struct, frozen=True):
    """A message on ReportsQueue: see to the report of this account, as it is due at that time, the tick's."""

    account: AccountAlias
    at: Timestamp


_decoder = msgspec.json.Decoder(AccountReport, dec_hook=Timestamp.decode)


def parse_account_report(body: str) -> AccountReport:
    """What the message says; `InvalidMessage` names the field that makes it unusable."""
    return decode(_decoder, body)


@dataclass(frozen=True, slots=True)
class DueReports:
    """Raises botocore's errors."""

    schedule: ReportScheduleStore
    heartbeats: WatermarkStore
    sqs: SQSClient
    queue_url: str
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DailyReportSettings) -> Self:
        """One on the tables and the queue that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            schedule=ReportScheduleStore(dynamodb, settings.webhooks_table),
            heartbeats=WatermarkStore(dynamodb, settings.server_policies_table),
            sqs=clients.sqs(),
            queue_url=settings.reports_queue_url,
        )

    def tick(self, now: datetime, deadline: datetime) -> int:
        """Put each account whose report is due at `now` on the queue; how many they were.

        A report waits until the backup events of its time seem to be read. What is left near `deadline`, the function's
        end, is taken up by the next tick.
        """
        found = 0
        for ten in batched(self._ready(now), _SQS_BATCH, strict=False):
            if self.clock() >= deadline - _RESERVE:
                logger.warning("out of time; the next tick goes on")
                break
            # First, so that no other tick sends it too. Were the message lost then, it is found again after the pause.
            mine = [due for due in ten if self.schedule.postpone(due, now + _pause(due, now))]
            if mine:
                self._send(mine, Timestamp.of(now))
            found += len(mine)
        return found

    def _ready(self, now: datetime) -> Iterator[DueReport]:
        read_until = self.heartbeats.load().newest_read or now
        for due in self.schedule.due(now - SETTLED_AFTER):
            if due.due_at <= read_until or due.due_at <= now - MOST_PATIENCE:
                yield due

    def _send(self, reports: Sequence[DueReport], at: Timestamp) -> None:
        answer = self.sqs.send_message_batch(
            QueueUrl=self.queue_url,
            Entries=[
                {"Id": str(position), "MessageBody": encode(AccountReport(due.account, at))}
                for position, due in enumerate(reports)
            ],
        )
        for failure in answer.get("Failed", []):
            logger.warning(
                "a report could not be put on the queue; tried again later", extra={"reason": failure["Code"]}
            )


def _pause(due: DueReport, now: datetime) -> timedelta:
    since = (now - due.due_at) % _DAY
    # The next day's report is not to wait for it.
    return min(max(SHORTEST_PAUSE, since / 4), _DAY - since)
