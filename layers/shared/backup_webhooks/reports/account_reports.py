"""Sends an account's reports to its recipients: once each, and to one though another can't be reached.

One function at a time works at an account's reports, and it is noted who has them. Only a function that is killed, or
cut off from DynamoDB, between SES's answer and that note sends a recipient his report a second time. Who could not be
reached until the next reports are due gets those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks import clients
from backup_webhooks.moments import Clock, utc_now
from backup_webhooks.reports.due_reports import SETTLED_AFTER, parse_account_report
from backup_webhooks.reports.email import Attachment
from backup_webhooks.reports.mailer import Mailer
from backup_webhooks.reports.maker import Period
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.recipients import ReportFrequency, ReportSettings
from backup_webhooks.reports.report import STRIP_DAYS, Report, ReportKind
from backup_webhooks.reports.report_email import report_email
from backup_webhooks.reports.sources import ReportSources
from backup_webhooks.settings import DailyReportSettings
from backup_webhooks.stores.report_schedule import ReportProgress, ReportScheduleStore, Told

# What is under way when so little time is left can still end.
_RESERVE = timedelta(seconds=20)
_FREQUENCIES = {ReportKind.DAILY: ReportFrequency.DAILY, ReportKind.WEEKLY: ReportFrequency.WEEKLY}
# After an outage of ours, so many days a report reaches back at most.
_MOST_DAYS = {ReportKind.DAILY: STRIP_DAYS, ReportKind.WEEKLY: 2 * STRIP_DAYS}
_TRIES = 5

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Sent:
    """How many e-mails SES took, and how many it did not take, or there was no time for."""

    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class AccountReports:
    """Raises botocore's errors, but for SES's: those are logged, and tried again."""

    schedule: ReportScheduleStore
    sources: ReportSources
    mailer: Mailer
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DailyReportSettings) -> Self:
        """One on the tables and the sender that the settings name."""
        return cls(
            schedule=ReportScheduleStore(clients.dynamodb(), settings.webhooks_table),
            sources=ReportSources.of(settings),
            mailer=Mailer.of(settings.email),
        )

    def send(self, body: str, deadline: datetime) -> Sent:
        """Send the reports of the account that the message names, if they are due, to all who do not have them yet.

        Raises `InvalidMessage` for a message that names none.
        """
        message = parse_account_report(body)
        account, now = message.account, message.at
        settings, progress = self.schedule.load(account)
        if progress.due_at is None or progress.due_at > now:
            return Sent()
        report = Told(_days(settings).last_end(now), now - SETTLED_AFTER)
        if (begun := progress.under_way) and begun.until != report.until:
            return self.send(body, deadline) if self._give_up(account, progress, begun) else Sent()
        # Again with the cut that it had: all are told the same.
        report = begun or report
        if not self.schedule.begin(account, progress, report, self.clock(), deadline):
            return Sent()
        sent = self._send_all(account, settings, progress, report, deadline)
        if sent.failed:
            self.schedule.release(account, report)
        else:
            self._finish(account, progress, report, now)
        return sent

    def _send_all(
        self, account: str, settings: ReportSettings, progress: ReportProgress, report: Told, deadline: datetime
    ) -> Sent:
        sent = failed = 0
        for kind, period in _periods(settings, progress, report).items():
            waiting = [
                recipient
                for recipient in settings.recipients
                if recipient.report is _FREQUENCIES[kind] and recipient.address not in progress.sent_to
            ]
            if not waiting:
                continue
            content = self.sources.report(account, _days(settings), period, self.clock())
            for recipient in waiting:
                link = self.mailer.unsubscribe_url(account, recipient.unsubscribe_token)
                if self.clock() < deadline - _RESERVE and self._send(recipient.address, *content, link):
                    self.schedule.mark_sent(account, report, recipient.address)
                    sent += 1
                else:
                    failed += 1
        return Sent(sent, failed)

    def _send(self, address: str, report: Report, table: Attachment, link: str) -> bool:
        try:
            self.mailer.send(address, report_email(report, [table], self.mailer.page_url, link), link)
        except (BotoCoreError, ClientError) as error:
            # Not the address: it is a person's, and the log is read by others.
            logger.error("a report could not be sent", extra={"account": report.account, "reason": str(error)})
            return False
        return True

    def _finish(self, account: str, progress: ReportProgress, report: Told, now: datetime) -> bool:
        """Note what was told, and that the first report after `now` is due next; whether that was still to be noted."""
        for _ in range(_TRIES):
            # The customer may have changed the hour meanwhile.
            settings, now_known = self.schedule.load(account)
            if now_known.under_way != report:
                return False
            told = {kind: Told(one.end, report.cut) for kind, one in _periods(settings, progress, report).items()}
            due_at = _days(settings).next_end(now)
            if self.schedule.finish(account, report, told, due_at, settings.revision):
                return True
        return False

    def _give_up(self, account: str, progress: ReportProgress, begun: Told) -> bool:
        """Have done with reports that others have followed; whether that is so, and nobody works at them."""
        logger.warning("a report did not reach all", extra={"account": account, "until": str(begun.until)})
        if progress.sent_to:
            return self._finish(account, progress, begun, begun.until)
        return self.schedule.discard(account, begun, self.clock())


def _days(settings: ReportSettings) -> ReportDays:
    return ReportDays(settings.hour, ZoneInfo(settings.timezone))


def _periods(settings: ReportSettings, progress: ReportProgress, report: Told) -> Mapping[ReportKind, Period]:
    """What each report that is due tells of: what lies behind the last of its kind."""
    days, periods = _days(settings), {}
    wanted = {recipient.report for recipient in settings.recipients}
    ends = {ReportKind.DAILY: report.until, ReportKind.WEEKLY: days.last_monday(report.until)}
    for kind, end in ends.items():
        told = progress.told.get(kind)
        # Who begins to get a weekly report waits for the first Monday.
        start = told.until if told else days.start(kind, end) if end == report.until else end
        start = max(start, days.before(end, _MOST_DAYS[kind]))
        if _FREQUENCIES[kind] in wanted and start < end:
            periods[kind] = Period(
                kind=kind,
                before=days.start(kind, start),
                start=start,
                end=end,
                cut=report.cut,
                cut_before=told.cut if told else None,
            )
    return periods
