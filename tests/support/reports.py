"""Factories of reports and their lines. Times are given as `11-25 03:12` (of 2026, UTC)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.reports.report import STRIP_DAYS, Report, ReportKind, ServerLine, WebhookLine

PAGE = "https://backup.example/"
UNSUBSCRIBE = "https://backup.example/unsubscribe?account=TEST&token=abc"
BERLIN = ZoneInfo("Europe/Berlin")
OK, PARTIAL, FAILED, MISSED, NONE = (
    DayCounts(success=1),
    DayCounts(partial_success=1),
    DayCounts(failed=1),
    DayCounts(missed=1),
    DayCounts(),
)
OF_CHARACTER = {"v": OK, "!": PARTIAL, "x": FAILED, "m": MISSED, "-": NONE}


def on(text: str) -> Timestamp:
    """Return the timestamp of `11-25 03:12` in 2026, or of a text with its own year."""
    return Timestamp.parse(f"{text if text[4] == '-' else f'2026-{text}'}Z")


def server(name: str = "IL1TESTWEB01", strip: str = "vvvvvvv", **changes: Any) -> ServerLine:
    """Return a server in state OK. `strip`: a letter a day, as in `OF_CHARACTER`; the last is the period."""
    days = [OF_CHARACTER[character] for character in strip]
    fields: dict[str, Any] = {
        "server_policy_id": f"policy of {name}",
        "server_id": name,
        "account_policy_name": "Nightly",
        "state": ServerState.OK,
        "period": days[-1],
        "strip": days,
        "last_at": on("11-25 02:12"),
        "next_expected_at": on("11-26 02:00"),
    }
    return ServerLine(**(fields | changes))


def webhook(**changes: Any) -> WebhookLine:
    """Return a webhook that fails since yesterday."""
    fields: dict[str, Any] = {
        "event_types": [EventType.FAILURE],
        "url": "https://hooks.example.com/services/T000/secret",
        "undelivered": 2,
        "consecutive_failures": 14,
        "failing_since": on("11-24 21:10"),
        "reason": "answered 503",
    }
    return WebhookLine(**(fields | changes))


def report(servers: Sequence[ServerLine] = (), end: str = "11-25 06:00", days: float = 1, **changes: Any) -> Report:
    """Return a report of these servers on the `days` to `end`, with their totals and those that need attention."""
    until = on(end)
    totals = sum((line.period for line in servers), NONE)
    fields: dict[str, Any] = {
        "kind": ReportKind.DAILY,
        "account": "TEST",
        "start": until - timedelta(days=days),
        "end": until,
        "zone": BERLIN,
        "totals": totals,
        "before": totals,
        "strip_ends": [until - timedelta(days=back) for back in reversed(range(STRIP_DAYS))],
        "attention": [line for line in servers if line.went_wrong or line.is_wrong],
        "servers": servers,
    }
    return Report(**(fields | changes))


def backup(result: BackupResult = BackupResult.SUCCESS, **changes: Any) -> Backup:
    """Return a backup that ended at 02:12 after twelve minutes, or that was missed at 02:12."""
    missed = result is BackupResult.MISSED
    ended: datetime = on("11-25 02:12:05")
    ended_backup = Backup(
        account="TEST",
        server_id="IL1TESTWEB01",
        server_policy_id="policy of IL1TESTWEB01",
        account_policy_id="nightly",
        account_policy_name="Nightly",
        storage_region="US WEST",
        result=result,
        occurred_at=ended,
        recorded_at=ended,
        started_at=None if missed else ended - timedelta(minutes=12),
        restore_point_id=None if missed else "rp 1",
    )
    return replace(ended_backup, **changes)
