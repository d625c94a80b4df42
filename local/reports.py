"""`python -m local report`: an account's report from the running stack, as its recipients would get it now."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from copy import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.aggregate import Period
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.queries import ReportQueries
from backup_webhooks.reports.report import ReportKind
from backup_webhooks.reports.report_email import report_email
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.store import TargetsStore

from local.stack import STACK_FILE, Stack, running


def add_commands(commands: Any) -> None:
    """Add the command `report`."""
    report = commands.add_parser("report", help="write an account's report of the running stack to files, and open it")
    report.add_argument("account", nargs="?", default="TEST")
    report.add_argument("--weekly", action="store_true", help="the weekly digest, in place of the daily report")
    report.add_argument("--folder", type=Path, default=STACK_FILE.parent / "report", help="where the files go")
    report.add_argument("--no-open", action="store_true", help="only write the files")
    report.set_defaults(call=_report)


def _report(options: argparse.Namespace) -> int:
    """Write `report.html`, `report.txt` and the table of the report that is due at the next full hour."""
    stack = running()
    dynamodb = stack.client("dynamodb")
    settings = ReportSettingsStore(dynamodb, stack.outputs["WebhooksTableName"]).load(options.account)
    now, zone = utc_now(), ZoneInfo(settings.timezone)
    days = ReportDays((now + timedelta(hours=1)).astimezone(zone).hour, zone)
    kind = ReportKind.WEEKLY if options.weekly else ReportKind.DAILY
    end = days.next_end(now)
    start = days.start(kind, end)
    period = Period(kind, days.start(kind, start), start, end, cut=end, cut_before=None)
    report, table = _queries(stack).report(options.account, days, period, now)
    # The report's hour is not over, so the warning that some messages are not read yet is left out.
    email = report_email(replace(report, read_until=None), [table], stack.page_url, f"{stack.page_url}unsubscribe")
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "report.html").write_text(email.html)
    (options.folder / "report.txt").write_text(f"{email.subject}\n\n{email.text}")
    (options.folder / table.name).write_bytes(table.content)
    print(email.subject)
    print(f"{options.folder}: report.html report.txt {table.name}")
    if not options.no_open and not webbrowser.open((options.folder / "report.html").as_uri()):
        print("No browser could be opened here; open report.html in one.", file=sys.stderr)
    return 0


def _queries(stack: Stack) -> ReportQueries:
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    return ReportQueries(
        backups=BackupsStore(dynamodb, outputs["BackupsTableName"]),
        server_policies=ServerPoliciesStore(dynamodb, outputs["ServerPoliciesTableName"]),
        targets=TargetsStore(dynamodb, outputs["WebhooksTableName"]),
        deliveries=DeliveryLog(dynamodb, outputs["DeliveriesTableName"]),
        watermark_store=WatermarkStore(dynamodb, outputs["ServerPoliciesTableName"]),
    )
