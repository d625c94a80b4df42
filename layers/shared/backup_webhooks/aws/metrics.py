"""Metrics that several functions count under the same names. Customers and operators see the sum over functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

    from backup_webhooks.aws.batch import Batch


def count_records(metrics: Metrics, batch: Batch[Any]) -> None:
    """Add Rejected and RecordsFailed, also if they are 0: for a minute without a value, an alarm looks further back."""
    metrics.add_metric("Rejected", MetricUnit.Count, batch.rejected)
    metrics.add_metric("RecordsFailed", MetricUnit.Count, batch.failed)
