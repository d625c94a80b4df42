"""Runs every minute and reports each backup that did not start within an hour of its expected start."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.metrics import function_metrics
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.monitoring.detector import Detector, DetectorSettings, TickResult

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()


@cache
def _detector() -> Detector:
    return Detector.of(DetectorSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Handle a tick, such as `{"time": "2018-12-20T18:01:00Z"}`, at the time for which it was scheduled."""
    now = Timestamp.parse(event.get("time"))
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    result = _detector().tick(now, deadline)
    _count(result)
    return {"due": result.due, "sent": result.sent}


def _count(result: TickResult) -> None:
    metrics.add_metric("Due", MetricUnit.Count, result.due)
    metrics.add_metric("Sent", MetricUnit.Count, result.sent)
    if result.sent:
        metrics.add_metric("Lag", MetricUnit.Seconds, result.lag.total_seconds())
    if result.heartbeat_age is not None:
        metrics.add_metric("HeartbeatAge", MetricUnit.Seconds, result.heartbeat_age.total_seconds())
