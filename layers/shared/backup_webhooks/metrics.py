"""What functions that post count, under the same names: the sum over functions is what customers see."""

from __future__ import annotations

from collections.abc import Sequence

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from backup_webhooks.sender import Attempt


def count_attempts(metrics: Metrics, attempts: Sequence[Attempt]) -> None:
    """Posted, Failed, and how long each took."""
    delivered = sum(attempt.delivered for attempt in attempts)
    metrics.add_metric("Posted", MetricUnit.Count, delivered)
    metrics.add_metric("Failed", MetricUnit.Count, len(attempts) - delivered)
    for attempt in attempts:
        metrics.add_metric("PostMilliseconds", MetricUnit.Milliseconds, attempt.milliseconds)
