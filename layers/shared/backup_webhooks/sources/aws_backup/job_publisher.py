"""Tells of AWS Backup's jobs: each start and each end once, whether an event brings it or reconciliation finds it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.queue import BackupEventsQueue, body_of
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.sources.aws_backup.backup_client import AwsBackupClient
from backup_webhooks.sources.aws_backup.jobs import BackupJob, Stage
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer
from backup_webhooks.sources.aws_backup.settings import AwsBackupSettings
from backup_webhooks.sources.aws_backup.store import AwsBackupStore, KnownOfJob, Reconciliation

# A job may be listed a while after it ended.
_OVERLAP = timedelta(hours=2)
# A job runs, or fails without a completion date, so long after it was created: it may wait its start window of some
# hours first. Those that end with a date are found by that, however long they took.
_LONGEST_WAIT = timedelta(hours=24)
# What is under way when this little time is left can still end.
_RESERVE = timedelta(seconds=30)

logger = Logger(child=True)


class AwsJobPublisher(Struct, frozen=True):
    """Puts messages on BackupEventsQueue, and notes that it has. Raises botocore's errors."""

    store: AwsBackupStore
    reader: AwsBackupClient
    queue: BackupEventsQueue
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: AwsBackupSettings) -> Self:
        """One on the table and the queue that the settings name."""
        return cls(
            store=AwsBackupStore(clients.dynamodb(), settings.sources_table),
            reader=AwsBackupClient(clients.backup()),
            queue=BackupEventsQueue(clients.sqs(), settings.backup_events_queue_url),
        )

    def tell(self, job: BackupJob) -> bool:
        """Tell of the job in its state, unless that was told; whether it was news.

        Kept, sent, noted, in this order: killed in between, whoever comes next sends the same message again, which the
        notifier then knows. `InvalidMessage` for a job of which no message can be made.
        """
        known, now = self.store.known(job), self.clock()
        if known.is_published:
            return False
        plan = self._plan(job, known.plan)
        body = body_of(job.message(known.account, plan, known.server.resource_name if known.server else None))
        self.queue.send_body(self.store.keep(job, body, now))
        self.store.sent(job, now)
        if plan:
            self._remember_server(job, plan, known, now)
        return True

    def reconcile(self, now: datetime, deadline: datetime) -> int:
        """Tell of what no event has told since the last time; how many that were.

        Stops in good time before `deadline`, the function's end; the next time then begins where this one did, and what
        has been told by then is no news. The first time nothing is told: what ended before the source was switched on
        is history.
        """
        before = self.store.reconciliation()
        if before is None:
            self.store.save_reconciliation(Reconciliation(now, now))
            return 0
        told = 0
        for page in self._pages(before):
            for job in self.store.unpublished(page):
                if self.clock() >= deadline - _RESERVE:
                    logger.warning("out of time; the next reconciliation goes on", extra={"told": told})
                    return told
                told += self._tell_alone(job)
        self.store.save_reconciliation(replace(before, until=now))
        return told

    def _tell_alone(self, job: BackupJob) -> bool:
        try:
            return self.tell(job)
        except InvalidMessage as error:
            # It fails alone: the next reconciliation would meet it again, and never come past it.
            extra = {"backup_job_id": job.job_id, "field": error.field, "reason": error.reason}
            logger.error("job can't be told", extra=extra)
            return False

    def _pages(self, before: Reconciliation) -> Iterator[list[BackupJob]]:
        for page in self.reader.jobs(completed_after=before.until - _OVERLAP):
            yield [job for job in page if job.ended_at and job.ended_at >= before.since]
        for page in self.reader.jobs(created_after=before.until - _OVERLAP - _LONGEST_WAIT):
            yield [job for job in page if not job.ended_at and _is_news(job, before)]

    def _plan(self, job: BackupJob, known: BackupPlan | None) -> BackupPlan | None:
        """The job's plan as it is known; read where it, or the job's rule in it, is not."""
        if job.plan_id is None or (known and (job.rule_id is None or job.rule_id in known.rules)):
            return known
        if plan := self.reader.plan(job.plan_id):
            self.store.save_plan(plan)
        return plan or known

    def _remember_server(self, job: BackupJob, plan: BackupPlan, known: KnownOfJob, now: datetime) -> None:
        """That the rule backs the resource up, and, if it is news, from when on its next backup is expected."""
        if job.rule_id is None or (rule := plan.rules.get(job.rule_id)) is None:
            return
        server = known.server or PlannedServer(job.server_policy_id, plan.plan_id, job.rule_id, job.resource_arn)
        if server.last_job_at and job.created_at <= server.last_job_at:
            return
        server = replace(server, last_job_at=job.created_at, resource_name=job.resource_name or server.resource_name)
        if server.had_a_job_of_late(rule, now) and (change := server.expecting(plan, known.account, now)):
            self.queue.send_body(body_of(change))
            server = server.after(change)
        else:
            # Its plan may have been read meanwhile.
            server = replace(server, told=None)
        self.store.save_server(server, now)


def _is_news(job: BackupJob, before: Reconciliation) -> bool:
    return job.stage is Stage.STARTED or job.created_at >= before.since
