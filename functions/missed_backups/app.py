"""Runs every minute: tells of each backup that was not initiated within an hour of its scheduled start."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.settings import MissedBackupsSettings
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.monitoring.detector import Detector, TickResult

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = Metrics()


@cache
def _missed_backups() -> Detector:
    return Detector.of(MissedBackupsSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Handle a tick, `{"time": "2018-12-20T18:01:00Z"}`: the time at which it was scheduled is the one it judges at."""
    now = Timestamp.parse(event.get("time"))
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    tally = _missed_backups().tick(now, deadline)
    _count(tally)
    return {"due": tally.due, "sent": tally.sent}


def _count(tally: TickResult) -> None:
    metrics.add_metric("Due", MetricUnit.Count, tally.due)
    metrics.add_metric("Sent", MetricUnit.Count, tally.sent)
    if tally.sent:
        metrics.add_metric("Lag", MetricUnit.Seconds, tally.lag.total_seconds())
    if tally.heartbeat_age is not None:
        metrics.add_metric("HeartbeatAge", MetricUnit.Seconds, tally.heartbeat_age.total_seconds())
