"""Sends the accounts' reports by e-mail. A tick puts the accounts that are due on ReportsQueue; its messages send."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.batch import Batch, handle_batch
from backup_webhooks.aws.metrics import count_records, function_metrics
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.reports.account_reports import AccountReports, Sent
from backup_webhooks.reports.due_reports import DailyReportSettings, DueReports

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()
_threads = ThreadPoolExecutor(1, "report")


@cache
def _due_reports() -> DueReports:
    return DueReports.of(DailyReportSettings.from_env())


@cache
def _account_reports() -> AccountReports:
    return AccountReports.of(DailyReportSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | dict[str, int]:
    """Handle a tick, `{"time": "2018-12-20T18:05:00Z"}`, or a batch of records of ReportsQueue."""
    if "Records" in event:
        reports = _account_reports()
        batch = handle_batch(event, context, _threads, lambda record, deadline: reports.send(record["body"], deadline))
        _count(batch)
        return batch.response
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    due = _due_reports().tick(Timestamp.parse(event.get("time")), deadline)
    metrics.add_metric("ReportsDue", MetricUnit.Count, due)
    return {"due": due}


def _count(batch: Batch[Sent]) -> None:
    metrics.add_metric("ReportsSent", MetricUnit.Count, sum(sent.sent for sent in batch.results))
    metrics.add_metric("ReportsFailed", MetricUnit.Count, sum(sent.failed for sent in batch.results))
    count_records(metrics, batch)
