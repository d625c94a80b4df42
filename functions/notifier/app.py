"""Consumes BackupEventsQueue: posts results and misses to the accounts' targets, and records what backups have done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.batch import ThreadedBatchProcessor
from backup_webhooks.messages import InvalidMessage
from backup_webhooks.moments import utc_now
from backup_webhooks.notifier import Notified, Notifier
from backup_webhooks.settings import NotifierSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = Metrics()
_threads = ThreadPoolExecutor(20, "message")


@cache
def _notifier() -> Notifier:
    return Notifier.of(NotifierSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle a batch of SQS records; answer with those that must come again."""
    notifier = _notifier()
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    processor = ThreadedBatchProcessor(_threads)
    with processor(event["Records"], lambda record: notifier.handle(record, deadline)):
        results = processor.process()
    _count([result for status, result, _ in results if status == "success"], processor.exceptions)
    return processor.response()


def _count(notified: list[Notified], exceptions: list[Any]) -> None:
    attempts = [attempt for one in notified for attempt in one.attempts]
    delivered = sum(attempt.delivered for attempt in attempts)
    metrics.add_metric("Posted", MetricUnit.Count, delivered)
    metrics.add_metric("Failed", MetricUnit.Count, len(attempts) - delivered)
    metrics.add_metric("WithoutWebhook", MetricUnit.Count, sum(one.without_webhook for one in notified))
    metrics.add_metric("Rejected", MetricUnit.Count, sum(issubclass(kind, InvalidMessage) for kind, _, _ in exceptions))
    for attempt in attempts:
        metrics.add_metric("PostMilliseconds", MetricUnit.Milliseconds, attempt.milliseconds)
