"""Metrics that the notifier and the redeliverer share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools import Metrics

    from backup_webhooks.deliveries.attempt import Outcome


def count_attempts(metrics: Metrics, outcomes: Sequence[Outcome]) -> None:
    """Count Posted and Failed, and add PostMilliseconds for each POST."""
    results = [outcome.result for outcome in outcomes if outcome.result]
    delivered = sum(result.delivered for result in results)
    metrics.add_metric("Posted", MetricUnit.Count, delivered)
    metrics.add_metric("Failed", MetricUnit.Count, len(results) - delivered)
    for result in results:
        metrics.add_metric("PostMilliseconds", MetricUnit.Milliseconds, result.milliseconds)
