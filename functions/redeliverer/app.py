"""Consumes RetryQueue: makes the attempts that are due there, and plans the next or gives up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.batch import Batch, handle_batch
from backup_webhooks.aws.metrics import count_records
from backup_webhooks.aws.settings import RedelivererSettings
from backup_webhooks.deliveries.metrics import count_attempts
from backup_webhooks.deliveries.redeliverer import Redelivered, Redeliverer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = Metrics()
_threads = ThreadPoolExecutor(20, "message")


@cache
def _redeliverer() -> Redeliverer:
    return Redeliverer.of(RedelivererSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle a batch of SQS records; answer with those that must come again."""
    batch = handle_batch(event, context, _threads, _redeliverer().handle)
    _count(batch)
    return batch.response


def _count(batch: Batch[Redelivered]) -> None:
    count_attempts(metrics, [redelivered.attempt for redelivered in batch.results if redelivered.attempt])
    metrics.add_metric("Exhausted", MetricUnit.Count, sum(redelivered.exhausted for redelivered in batch.results))
    count_records(metrics, batch)
