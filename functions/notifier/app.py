"""Consumes BackupEventsQueue: posts results and misses to the accounts' targets, and records what backups have done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.batch import Batch, handle_batch
from backup_webhooks.aws.metrics import count_records
from backup_webhooks.aws.settings import NotifierSettings
from backup_webhooks.deliveries.metrics import count_attempts
from backup_webhooks.deliveries.notifier import Notified, Notifier

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
    batch = handle_batch(event, context, _threads, _notifier().handle)
    _count(batch)
    return batch.response


def _count(batch: Batch[Notified]) -> None:
    count_attempts(metrics, [attempt for notified in batch.results for attempt in notified.attempts])
    metrics.add_metric("HandedOver", MetricUnit.Count, sum(notified.deferred for notified in batch.results))
    if suppressed := sum(notified.suppressed for notified in batch.results):
        # A metric is paid for by the hour in which it is there; few installations have any of these.
        metrics.add_metric("HeldBack", MetricUnit.Count, suppressed)
    if grouped := sum(notified.grouped for notified in batch.results):
        metrics.add_metric("Gathered", MetricUnit.Count, grouped)
    metrics.add_metric("WithoutWebhook", MetricUnit.Count, sum(notified.without_webhook for notified in batch.results))
    count_records(metrics, batch)
