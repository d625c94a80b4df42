"""Consumes BackupEventsQueue: records each message, and posts events to the accounts' targets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.batch import Batch, handle_batch, sent_at
from backup_webhooks.aws.metrics import count_records, function_metrics
from backup_webhooks.deliveries.attempt import DEFERRED
from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.metrics import count_attempts
from backup_webhooks.deliveries.notifier import Handled, Notifier, NotifierSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()
_threads = ThreadPoolExecutor(20, "message")


@cache
def _notifier() -> Notifier:
    return Notifier.of(NotifierSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle a batch of SQS records. Return those that SQS must deliver again."""
    notifier = _notifier()
    batch = handle_batch(
        event,
        context,
        _threads,
        lambda record, deadline: notifier.handle(record["body"], deadline, sent_at(record)),
    )
    _count(batch)
    return batch.response


def _count(batch: Batch[Handled]) -> None:
    outcomes = [outcome for handled in batch.results for outcome in handled.outcomes or ()]
    states = Counter(outcome.state for outcome in outcomes)
    count_attempts(metrics, outcomes)
    metrics.add_metric("Deferred", MetricUnit.Count, states[DEFERRED.state])
    # A metric is charged by the hour in which it has a value, and few installations have any of these.
    if suppressed := states[DeliveryState.SUPPRESSED]:
        metrics.add_metric("Suppressed", MetricUnit.Count, suppressed)
    if grouped := states[DeliveryState.GROUPED]:
        metrics.add_metric("Grouped", MetricUnit.Count, grouped)
    if dates_ahead := sum(handled.date_ahead for handled in batch.results):
        metrics.add_metric("DatesAhead", MetricUnit.Count, dates_ahead)
    if unusable_facts := sum(handled.unusable_facts for handled in batch.results):
        metrics.add_metric("UnusableFacts", MetricUnit.Count, unusable_facts)
    without_target = sum(handled.outcomes is not None and not handled.outcomes for handled in batch.results)
    metrics.add_metric("WithoutTarget", MetricUnit.Count, without_target)
    count_records(metrics, batch)
