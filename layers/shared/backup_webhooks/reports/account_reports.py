"""Sends an account's reports to its recipients: once each, and to one though another can't be reached.

One function at a time works at an account's reports, and it is noted who has them. Only where SES's answer is lost, or
the function is killed or cut off from DynamoDB before the note, is a recipient sent his report a second time. Who could
not be reached until the next reports are due gets those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger

from backup_webhooks.aws import clients
from backup_webhooks.aws.settings import DailyReportSettings
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.reports.aggregate import Period
from backup_webhooks.reports.due_reports import SETTLED_AFTER, parse_account_report
from backup_webhooks.reports.email import Attachment
from backup_webhooks.reports.mailer import LONGEST_SEND, Mailer
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.queries import ReportQueries
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.report import STRIP_DAYS, Report, ReportKind
from backup_webhooks.reports.report_email import report_email
from backup_webhooks.reports.schedule_store import ReportProgress, ReportScheduleStore, Told, UnderWay

_FREQUENCIES = {ReportKind.DAILY: ReportFrequency.DAILY, ReportKind.WEEKLY: ReportFrequency.WEEKLY}
# After an outage of ours, so many days a report reaches back at most.
# A week that the change of an hour would make one of hours is told with the next.
_LEAST = {ReportKind.DAILY: timedelta(milliseconds=1), ReportKind.WEEKLY: timedelta(days=2)}
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
    sources: ReportQueries
    mailer: Mailer
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DailyReportSettings) -> Self:
        """One on the tables and the sender that the settings name."""
        return cls(
            schedule=ReportScheduleStore(clients.dynamodb(), settings.webhooks_table),
            sources=ReportQueries.of(settings),
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
        days = _days(settings)
        end = days.last_end(now)
        report = UnderWay(end, days.last_monday(end), now - SETTLED_AFTER)
        if begun := progress.under_way:
            if begun.until > end:
                return Sent()  # an old message
            if begun.until < end:
                return self.send(body, deadline) if self._give_up(account, settings, progress, begun) else Sent()
            # Again with the cut that it had: all are told the same.
            report = begun
        if not self.schedule.begin(account, progress, report, self.clock(), deadline):
            return Sent()
        # Once more, now that it is this function's turn: another may have sent it to some since.
        settings, progress = self.schedule.load(account)
        periods = _periods(settings, progress, report)
        sent = self._send_all(account, settings, progress, report, periods, deadline)
        if sent.failed:
            self.schedule.release(account, report)
        else:
            self._finish(account, report, _told(periods, report), now)
        return sent

    def _send_all(  # noqa: PLR0913, PLR0917 - what is known of the account
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
            waiting = [one for one in _recipients(settings, kind) if one.address not in progress.sent_to]
            if not waiting:
                continue
            content = self.sources.report(account, _days(settings), period, self.clock())
            for recipient in waiting:
                link = self.mailer.unsubscribe_url(account, recipient.unsubscribe_token)
                if self.clock() >= deadline - LONGEST_SEND or not self._send(recipient.address, *content, link):
                    failed += 1
                    continue
                sent += 1
                if not self.schedule.mark_sent(account, report, recipient.address):
                    # Nobody is to get it any more: the customer has taken out all.
                    return Sent(sent)
        return Sent(sent, failed)

    def _send(self, address: str, report: Report, table: Attachment, link: str) -> bool:
        reason = self.mailer.send(address, report_email(report, [table], self.mailer.page_url, link), link)
        if reason:
            logger.error("a report could not be sent", extra={"account": report.account, "reason": reason})
        return reason is None

    def _finish(self, account: str, report: UnderWay, told: Mapping[ReportKind, Told], now: datetime) -> None:
        """Note what was told, and that the first report after `now` is due next."""
        for _ in range(_TRIES):
            # The customer may have changed the hour meanwhile.
            settings, progress = self.schedule.load(account)
            if progress.under_way != report:
                return
            if self.schedule.finish(account, report, told, _days(settings).next_end(now), settings.revision):
                return

    def _give_up(self, account: str, settings: ReportSettings, progress: ReportProgress, begun: UnderWay) -> bool:
        """Have done with reports that others have followed; whether that is so, and nobody works at them.

        Of a kind that nobody has got, the next one tells it all.
        """
        logger.warning("a report did not reach all", extra={"account": account, "until": str(begun.until)})
        periods = _periods(settings, progress, begun)
        reached = {
            kind: period
            for kind, period in periods.items()
            if any(one.address in progress.sent_to for one in _recipients(settings, kind))
        }
        return self.schedule.give_up(account, begun, _told(reached, begun), self.clock())


def _days(settings: ReportSettings) -> ReportDays:
    return ReportDays(settings.hour, settings.zone)


def _recipients(settings: ReportSettings, kind: ReportKind) -> Sequence[Recipient]:
    return [recipient for recipient in settings.recipients if recipient.report is _FREQUENCIES[kind]]


def _told(periods: Mapping[ReportKind, Period], report: UnderWay) -> Mapping[ReportKind, Told]:
    return {kind: Told(period.end, report.cut) for kind, period in periods.items()}


def _periods(settings: ReportSettings, progress: ReportProgress, report: UnderWay) -> Mapping[ReportKind, Period]:
    """What each report that is due tells of: what lies behind the last of its kind."""
    days, periods = _days(settings), {}
    for kind, end in ((ReportKind.DAILY, report.until), (ReportKind.WEEKLY, report.week)):
        told = progress.told.get(kind)
        # Who begins to get a weekly report waits for the first Monday.
        start = told.until if told else days.start(kind, end) if end == report.until else end
        start = max(start, days.before(end, _MOST_DAYS[kind]))
        if _recipients(settings, kind) and end - start >= _LEAST[kind]:
            periods[kind] = Period(
                kind=kind,
                before=days.start(kind, start),
                start=start,
                end=end,
                cut=report.cut,
                cut_before=told.cut if told else None,
            )
    return periods
