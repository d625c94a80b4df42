"""What functions count under the same names: the sum over functions is what customers and operators see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools import Metrics

    from backup_webhooks.batch import Batch
    from backup_webhooks.sender import Attempt


def count_attempts(metrics: Metrics, attempts: Sequence[Attempt]) -> None:
    """Posted, Failed, and how long each took."""
    delivered = sum(attempt.delivered for attempt in attempts)
    metrics.add_metric("Posted", MetricUnit.Count, delivered)
    metrics.add_metric("Failed", MetricUnit.Count, len(attempts) - delivered)
    for attempt in attempts:
        metrics.add_metric("PostMilliseconds", MetricUnit.Milliseconds, attempt.milliseconds)


def count_records(metrics: Metrics, batch: Batch[Any]) -> None:
    """Rejected and RecordsFailed. Both are always there: where minutes have no value, an alarm looks further back."""
    metrics.add_metric("Rejected", MetricUnit.Count, batch.rejected)
    metrics.add_metric("RecordsFailed", MetricUnit.Count, batch.failed)
