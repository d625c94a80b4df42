"""The source AWS Backup: turns its events into messages of BackupEventsQueue, and finds lost events by its API."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.metrics import function_metrics
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.sources.aws_backup.job_publisher import AwsJobPublisher
from backup_webhooks.sources.aws_backup.jobs import BackupJob, plan_id_of
from backup_webhooks.sources.aws_backup.plan_publisher import AwsPlanPublisher
from backup_webhooks.sources.aws_backup.settings import AwsBackupSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()


@cache
def _jobs() -> AwsJobPublisher:
    return AwsJobPublisher.of(AwsBackupSettings.from_env())


@cache
def _plans() -> AwsPlanPublisher:
    return AwsPlanPublisher.of(AwsBackupSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Handle an event of AWS Backup or a task. Return the number of messages sent.

    The scheduled tasks are `{"task": "reconcile-jobs", "time": "2018-12-20T18:00:00Z"}` and `{"task": "read-plans"}`.
    An operator may send `{"task": "expect-nothing"}`. Lambda tries again after an error.
    """
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    match event.get("detail-type") or event.get("task"):
        case "Backup Job State Change":
            job = BackupJob.from_event(event)
            return _counted("Published", int(job is not None and _jobs().publish(job)))
        case "Backup Plan State Change":
            return _counted("PoliciesPublished", _plans().publish(plan_id_of(event)))
        case "reconcile-jobs":
            return _counted("Reconciled", _jobs().reconcile(Timestamp.parse(event.get("time")), deadline))
        case "read-plans":
            return _counted("PoliciesPublished", _plans().publish_all(deadline))
        case "expect-nothing":
            return _counted("PoliciesPublished", _plans().expect_nothing())
        case _:
            raise InvalidMessage(
                "$.detail-type", "allowed: Backup Job State Change, Backup Plan State Change; or a task"
            )


def _counted(metric: str, published: int) -> dict[str, int]:
    metrics.add_metric(metric, MetricUnit.Count, published)
    return {"told": published}
