"""Metrics that the notifier and the redeliverer share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools import Metrics

    from backup_webhooks.posting.sender import AttemptResult


def count_attempts(metrics: Metrics, attempts: Sequence[AttemptResult]) -> None:
    """Posted, Failed, and how long each took."""
    delivered = sum(attempt.delivered for attempt in attempts)
    metrics.add_metric("Posted", MetricUnit.Count, delivered)
    metrics.add_metric("Failed", MetricUnit.Count, len(attempts) - delivered)
    for attempt in attempts:
        metrics.add_metric("PostMilliseconds", MetricUnit.Milliseconds, attempt.milliseconds)
