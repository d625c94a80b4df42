"""Sends an account's reports: once to each recipient, independently of the others.

One invocation at a time holds an account's reports, and it records each recipient that has them. A recipient gets a
report twice only after a lost answer of SES, or if the function stops or loses DynamoDB before that record. A recipient
who cannot be reached until the next reports are due gets those instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.reports.aggregate import Period
from backup_webhooks.reports.due_reports import SETTLED_AFTER, DailyReportSettings, parse_account_report
from backup_webhooks.reports.email import Attachment
from backup_webhooks.reports.mailer import LONGEST_SEND, Mailer
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.queries import ReportQueries
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.report import STRIP_DAYS, Report, ReportKind
from backup_webhooks.reports.report_email import report_email
from backup_webhooks.reports.schedule_store import Reported, ReportProgress, ReportScheduleStore, UnderWay

_FREQUENCIES = {ReportKind.DAILY: ReportFrequency.DAILY, ReportKind.WEEKLY: ReportFrequency.WEEKLY}
# A week that is only hours long, as the report hour was changed, is reported with the next.
_SHORTEST = {ReportKind.DAILY: timedelta(milliseconds=1), ReportKind.WEEKLY: timedelta(days=2)}
# A report reaches back at most so many days, after an outage of this service.
_LONGEST_DAYS = {ReportKind.DAILY: STRIP_DAYS, ReportKind.WEEKLY: 2 * STRIP_DAYS}
_TRIES = 5

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Sent:
    """How many e-mails SES took, and how many it did not take or were left for lack of time."""

    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class AccountReports:
    """Sends reports, and raises botocore's errors. An error of SES is logged instead, and the e-mail is tried again."""

    schedule: ReportScheduleStore
    queries: ReportQueries
    mailer: Mailer
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DailyReportSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return it on the tables and the sender that the settings name."""
        return cls(
            schedule=ReportScheduleStore(aws.dynamodb(), settings.webhooks_table),
            queries=ReportQueries.of(settings, aws),
            mailer=Mailer.of(settings, aws),
            clock=clock,
        )

    def send(self, body: str, deadline: datetime) -> Sent:
        """Send the account's reports, if they are due, to the recipients who do not have them yet.

        Raise `InvalidMessage` for a message without an account.
        """
        message = parse_account_report(body)
        account, now = message.account, message.at
        settings, progress = self.schedule.load(account)
        if progress.due_at is None or progress.due_at > now:
            return Sent()
        days = _days(settings)
        end = days.last_end(now)
        report = UnderWay(end, days.last_monday(end), now - SETTLED_AFTER)
        if begun := progress.under_way:
            if begun.until > end:
                return Sent()  # an old message
            if begun.until < end:
                return self.send(body, deadline) if self._give_up(account, settings, progress, begun) else Sent()
            # The first cut is kept, so that all recipients get the same report.
            report = begun
        if not self.schedule.begin(account, progress, report, self.clock(), deadline):
            return Sent()
        # Another invocation may have sent the report to recipients since the first read.
        settings, progress = self.schedule.load(account)
        periods = _periods(settings, progress, report)
        sent = self._send_all(account, settings, progress, report, periods, deadline)
        if sent.failed:
            self.schedule.release(account, report)
        else:
            self._finish(account, report, _reported(periods, report), now)
        return sent

    def _send_all(  # noqa: PLR0913, PLR0917 - the account's state, read once
        self,
        account: str,
        settings: ReportSettings,
        progress: ReportProgress,
        report: UnderWay,
        periods: Mapping[ReportKind, Period],
        deadline: datetime,
    ) -> Sent:
        sent = failed = 0
        for kind, period in periods.items():
            unsent = [
                recipient for recipient in _recipients(settings, kind) if recipient.address not in progress.sent_to
            ]
            if not unsent:
                continue
            content = self.queries.report(account, _days(settings), period, self.clock())
            for recipient in unsent:
                link = self.mailer.unsubscribe_url(account, recipient.unsubscribe_token)
                if self.clock() >= deadline - LONGEST_SEND or not self._send(recipient.address, *content, link):
                    failed += 1
                    continue
                sent += 1
                if not self.schedule.mark_sent(account, report, recipient.address):
                    # The customer has removed all recipients.
                    return Sent(sent)
        return Sent(sent, failed)

    def _send(self, address: str, report: Report, attachment: Attachment, link: str) -> bool:
        reason = self.mailer.send(address, report_email(report, [attachment], self.mailer.page_url, link), link)
        if reason:
            logger.error("a report could not be sent", extra={"account": report.account, "reason": reason})
        return reason is None

    def _finish(self, account: str, report: UnderWay, reported: Mapping[ReportKind, Reported], now: datetime) -> None:
        """Record what was reported, and make the first report after `now` the next that is due."""
        for _ in range(_TRIES):
            # The customer may have changed the report hour since.
            settings, progress = self.schedule.load(account)
            if progress.under_way != report:
                return
            if self.schedule.finish(account, report, reported, _days(settings).next_end(now), settings.revision):
                return

    def _give_up(self, account: str, settings: ReportSettings, progress: ReportProgress, begun: UnderWay) -> bool:
        """End reports that are superseded by later ones. Return False if another invocation holds them.

        If a kind of report reached no recipient, the next one of that kind covers its period too.
        """
        logger.warning("a report did not reach all", extra={"account": account, "until": str(begun.until)})
        periods = _periods(settings, progress, begun)
        reached = {
            kind: period
            for kind, period in periods.items()
            if any(recipient.address in progress.sent_to for recipient in _recipients(settings, kind))
        }
        return self.schedule.give_up(account, begun, _reported(reached, begun), self.clock())


def _days(settings: ReportSettings) -> ReportDays:
    return ReportDays(settings.hour, settings.zone)


def _recipients(settings: ReportSettings, kind: ReportKind) -> Sequence[Recipient]:
    return [recipient for recipient in settings.recipients if recipient.report is _FREQUENCIES[kind]]


def _reported(periods: Mapping[ReportKind, Period], report: UnderWay) -> Mapping[ReportKind, Reported]:
    return {kind: Reported(period.end, report.cut) for kind, period in periods.items()}


def _periods(settings: ReportSettings, progress: ReportProgress, report: UnderWay) -> Mapping[ReportKind, Period]:
    """Return the period of each report that is due: it begins where the last of its kind ended."""
    days, periods = _days(settings), {}
    for kind, end in ((ReportKind.DAILY, report.until), (ReportKind.WEEKLY, report.week)):
        last = progress.reported.get(kind)
        # A new recipient of weekly reports waits for the first Monday.
        start = last.until if last else days.start(kind, end) if end == report.until else end
        start = max(start, days.before(end, _LONGEST_DAYS[kind]))
        if _recipients(settings, kind) and end - start >= _SHORTEST[kind]:
            periods[kind] = Period(
                kind=kind,
                before=days.start(kind, start),
                start=start,
                end=end,
                cut=report.cut,
                cut_before=last.cut if last else None,
            )
    return periods
