"""Sends recipients one e-mail at once for all backups that failed or were missed within some seconds."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from backup_webhooks.aws.metrics import function_metrics
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.reports.email_notices import EmailNotices, EmailNoticesSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(serialize_stacktrace=False)
metrics = function_metrics()


@cache
def _email_notices() -> EmailNotices:
    return EmailNotices.of(EmailNoticesSettings.from_env())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle a batch of records of EmailNoticesQueue, and return those to deliver again."""
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    emailed = _email_notices().send({record["messageId"]: record["body"] for record in event["Records"]}, deadline)
    metrics.add_metric("NoticeEmailsSent", MetricUnit.Count, emailed.sent)
    metrics.add_metric("NoticeEmailsFailed", MetricUnit.Count, emailed.failed)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in emailed.again]}
