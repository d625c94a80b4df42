"""Consumes RetryQueue: makes the attempts that are due, and after a failure plans the next or gives up.

Every six hours it sweeps the delivery log.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.batch import Batch, handle_batch
from backup_webhooks.aws.metrics import count_records, function_metrics
from backup_webhooks.deliveries.attempt import Outcome
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.metrics import count_attempts
from backup_webhooks.deliveries.redeliverer import Redeliverer, RedelivererSettings
from backup_webhooks.events.timestamps import utc_now

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()
_threads = ThreadPoolExecutor(20, "message")


@cache
def _redeliverer() -> Redeliverer:
    return Redeliverer.of(RedelivererSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | dict[str, int]:
    """Handle a batch of SQS records, and return those that SQS must deliver again; or sweep the delivery log."""
    redeliverer = _redeliverer()
    if "Records" not in event:
        stood_still = redeliverer.sweep.run(utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis()))
        if stood_still:
            metrics.add_metric("StoodStill", MetricUnit.Count, stood_still)
        return {"stoodStill": stood_still}
    batch = handle_batch(
        event,
        context,
        _threads,
        lambda record, deadline: redeliverer.handle(record["body"], deadline, record["receiptHandle"]),
    )
    _count(batch)
    return batch.response


def _count(batch: Batch[Outcome | None]) -> None:
    attempted = [outcome for outcome in batch.results if outcome and outcome.result]
    count_attempts(metrics, attempted)
    exhausted = sum(outcome.state is DeliveryState.EXHAUSTED for outcome in attempted)
    metrics.add_metric("Exhausted", MetricUnit.Count, exhausted)
    count_records(metrics, batch)
