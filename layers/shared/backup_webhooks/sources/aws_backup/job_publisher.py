"""Publishes AWS Backup's jobs: each start and end once, whether an event brings it or reconciliation finds it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.queue import BackupEventsQueue, body_of
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.sources.aws_backup.backup_client import AwsBackupClient
from backup_webhooks.sources.aws_backup.jobs import BackupJob, Stage
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer
from backup_webhooks.sources.aws_backup.settings import AwsBackupSettings
from backup_webhooks.sources.aws_backup.store import AwsBackupStore, KnownJob, Reconciliation

# AWS may list a job a while after it ended.
_OVERLAP = timedelta(hours=2)
# A job may wait for its start window of some hours before it runs, or fails without a completion date. Jobs with a
# completion date are found by it, however long they took.
_LONGEST_WAIT = timedelta(hours=24)
# The work that has begun can still end within this time.
_RESERVE = timedelta(seconds=30)

logger = Logger(child=True)


class AwsJobPublisher(Struct, frozen=True):
    """Sends messages to BackupEventsQueue and stores that they are sent. Raises botocore's errors."""

    store: AwsBackupStore
    client: AwsBackupClient
    queue: BackupEventsQueue
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: AwsBackupSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """One on the table and the queue that the settings name."""
        return cls(
            store=AwsBackupStore(aws.dynamodb(), settings.sources_table),
            client=AwsBackupClient(aws.backup()),
            queue=BackupEventsQueue(aws.sqs(), settings.backup_events_queue_url),
            clock=clock,
        )

    def publish(self, job: BackupJob) -> bool:
        """Publish the job's stage. Return False if it is published already. Raise `InvalidMessage` if it cannot be.

        The message is stored, sent, and marked as sent, in this order. If the function is killed in between, the next
        call sends the same message again, and the notifier recognises it.
        """
        known, now = self.store.known(job), self.clock()
        if known.is_published:
            return False
        plan = self._plan(job, known.plan)
        body = body_of(job.message(known.account, plan, known.server.resource_name if known.server else None))
        self.queue.send_body(self.store.keep_message(job, body, now))
        self.store.mark_sent(job, now)
        if plan:
            self._save_server(job, plan, known, now)
        return True

    def reconcile(self, now: datetime, deadline: datetime) -> int:
        """Publish the jobs whose events were lost since the last reconciliation. Return their number.

        It stops 30 s before `deadline`, the function's end, and the next one then begins where this one did. The first
        one publishes nothing: jobs from before the source was switched on are history.
        """
        before = self.store.reconciliation()
        if before is None:
            self.store.save_reconciliation(Reconciliation(now, now))
            return 0
        published = 0
        for page in self._pages(before):
            for job in self.store.unpublished(page):
                if self.clock() >= deadline - _RESERVE:
                    logger.warning("out of time; the next reconciliation continues", extra={"published": published})
                    return published
                published += self._publish_or_log(job)
        self.store.save_reconciliation(replace(before, until=now))
        return published

    def _publish_or_log(self, job: BackupJob) -> bool:
        try:
            return self.publish(job)
        except InvalidMessage as error:
            # Raised, it would end this reconciliation and each of the next at the same job.
            extra = {"backup_job_id": job.job_id, "field": error.field, "reason": error.reason}
            logger.error("job cannot be published", extra=extra)
            return False

    def _pages(self, before: Reconciliation) -> Iterator[list[BackupJob]]:
        for page in self.client.jobs(completed_after=before.until - _OVERLAP):
            yield [job for job in page if job.ended_at and job.ended_at >= before.since]
        for page in self.client.jobs(created_after=before.until - _OVERLAP - _LONGEST_WAIT):
            yield [job for job in page if not job.ended_at and _is_in_scope(job, before)]

    def _plan(self, job: BackupJob, known: BackupPlan | None) -> BackupPlan | None:
        """Return the job's plan as stored, or as read from AWS if the plan or its rule is unknown; None without any."""
        if job.plan_id is None or (known and (job.rule_id is None or job.rule_id in known.rules)):
            return known
        if plan := self.client.plan(job.plan_id):
            self.store.save_plan(plan)
        return plan or known

    def _save_server(self, job: BackupJob, plan: BackupPlan, known: KnownJob, now: datetime) -> None:
        """Store that the rule backs the resource up, and publish that its backups are expected if that is new."""
        if job.rule_id is None or (rule := plan.rules.get(job.rule_id)) is None:
            return
        server = known.server or PlannedServer(job.server_policy_id, plan.plan_id, job.rule_id, job.resource_arn)
        if server.last_job_at and job.created_at <= server.last_job_at:
            return
        server = replace(server, last_job_at=job.created_at, resource_name=job.resource_name or server.resource_name)
        if server.had_recent_job(rule, now) and (change := server.activation(plan, known.account, now)):
            self.queue.send_body(body_of(change))
            server = server.after(change)
        else:
            # The plan publisher may have written a newer message meanwhile.
            server = replace(server, published=None)
        self.store.save_server(server, now)


def _is_in_scope(job: BackupJob, before: Reconciliation) -> bool:
    return job.stage is Stage.STARTED or job.created_at >= before.since
