"""The functions' metrics, and those that several count under one name. An operator sees the sum over functions."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from backup_webhooks.aws.batch import Batch

# An alarm is raised if a tick has not written these.
_SIGNS_OF_LIFE = ("Due", "ReportsDue", "Reconciled")


class _BasicMetrics(Metrics):
    """Only the metrics of the alarms of `Observability: basic`. One is charged by the hour in which it has a value."""

    def add_metric(self, name: str, unit: MetricUnit | str, value: float, resolution: Any = 60) -> None:
        if name in _SIGNS_OF_LIFE or (name == "RecordsFailed" and value):
            super().add_metric(name, unit, value, resolution)


def function_metrics() -> Metrics:
    """Return the function's metrics, as `Observability` in the template wants them."""
    if os.environ.get("OBSERVABILITY") == "full":
        return Metrics()
    # Most invocations have none.
    warnings.filterwarnings("ignore", message="No application metrics to publish")
    return _BasicMetrics()


def count_records(metrics: Metrics, batch: Batch[Any]) -> None:
    """Add Rejected and RecordsFailed, also if they are 0: for a minute without a value, an alarm looks further back."""
    metrics.add_metric("Rejected", MetricUnit.Count, batch.rejected)
    metrics.add_metric("RecordsFailed", MetricUnit.Count, batch.failed)
