"""Reads AWS Backup's API: jobs, plans and their selections, and the names of resources. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.sources.aws_backup.jobs import BackupJob
from backup_webhooks.sources.aws_backup.plans import BackupPlan
from backup_webhooks.sources.aws_backup.selections import Selection

if TYPE_CHECKING:
    from mypy_boto3_backup import BackupClient

# One call returns no more.
_PAGE = 1000

logger = Logger(child=True)


class AwsBackupClient(Struct, frozen=True):
    """Reads page by page. Raises botocore's errors."""

    client: BackupClient

    def jobs(
        self, *, completed_after: datetime | None = None, created_after: datetime | None = None
    ) -> Iterator[list[BackupJob]]:
        """Yield the jobs that have a message, a page of up to 1,000 at a time, in AWS's order."""
        filters: dict[str, Any] = {"ByCompleteAfter": completed_after, "ByCreatedAfter": created_after}
        pages = self.client.get_paginator("list_backup_jobs").paginate(
            **{name: value for name, value in filters.items() if value}, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            jobs = (_job(job, self.client.meta.region_name) for job in page["BackupJobs"])
            yield [job for job in jobs if job]

    def plan(self, plan_id: str) -> BackupPlan | None:
        """Return the plan as it is now, or None if it does not exist or has been deleted."""
        try:
            return BackupPlan.of(self.client.get_backup_plan(BackupPlanId=plan_id))
        except self.client.exceptions.ResourceNotFoundException:
            return None

    def plan_ids(self) -> Iterator[str]:
        """Yield the ids of all plans."""
        pages = self.client.get_paginator("list_backup_plans").paginate(PaginationConfig={"PageSize": _PAGE})
        for page in pages:
            yield from (plan["BackupPlanId"] for plan in page["BackupPlansList"])

    def selections(self, plan_id: str) -> Iterator[Selection]:
        """Yield the plan's selections."""
        pages = self.client.get_paginator("list_backup_selections").paginate(
            BackupPlanId=plan_id, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            for listed in page["BackupSelectionsList"]:
                answer = self.client.get_backup_selection(BackupPlanId=plan_id, SelectionId=listed["SelectionId"])
                yield Selection.of(answer["BackupSelection"])

    def resource_names(self) -> dict[str, str]:
        """Return the names of the protected resources that have one, by ARN."""
        pages = self.client.get_paginator("list_protected_resources").paginate(PaginationConfig={"PageSize": _PAGE})
        return {
            resource["ResourceArn"]: resource["ResourceName"]
            for page in pages
            for resource in page["Results"]
            if resource.get("ResourceName")
        }


def _job(job: Mapping[str, Any], region: str) -> BackupJob | None:
    try:
        return BackupJob.from_api(job, region)
    except InvalidMessage as error:
        # AWS may list a job without its resource: it must not stop the others.
        extra = {"backup_job_id": job.get("BackupJobId"), "field": error.field, "reason": error.reason}
        logger.warning("job cannot be used", extra=extra)
        return None
