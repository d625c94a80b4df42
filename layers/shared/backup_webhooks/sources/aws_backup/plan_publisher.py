"""Publishes AWS Backup's plans: which servers are to be backed up when, and which no longer are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import ServerPolicyChanged
from backup_webhooks.events.queue import BackupEventsQueue, NotAllSent, body_of
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.sources.aws_backup.backup_client import AwsBackupClient
from backup_webhooks.sources.aws_backup.jobs import server_policy_id
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer
from backup_webhooks.sources.aws_backup.selections import Selection
from backup_webhooks.sources.aws_backup.settings import AwsBackupSettings
from backup_webhooks.sources.aws_backup.store import AwsBackupStore

_RESERVE = timedelta(seconds=30)

logger = Logger(child=True)


class PlansNotRead(Exception):
    """Some plans could not be read or published; the others have been."""


class AwsPlanPublisher(Struct, frozen=True):
    """Sends `ServerPolicyChanged` to BackupEventsQueue and stores it as published. Raises botocore's errors."""

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

    def publish_all(self, deadline: datetime) -> int:
        """Read all plans and publish their changes. Return the number of messages. Raise `PlansNotRead`.

        A failed plan does not stop the others: the error comes once all are tried, or 30 s before `deadline`.
        """
        names = self.client.resource_names()
        existing = set(self.client.plan_ids())
        published, failed = 0, 0
        for plan_id in sorted(existing | set(self.store.plan_ids())):
            if self.clock() >= deadline - _RESERVE:
                raise PlansNotRead("out of time; the next run publishes the rest")
            try:
                published += self.publish(plan_id, names)
            except (BotoCoreError, ClientError, NotAllSent, InvalidMessage) as error:
                logger.error("plan could not be published", extra={"backup_plan_id": plan_id, "reason": str(error)})
                failed += 1
        if failed:
            raise PlansNotRead(f"{failed} plans")
        return published

    def publish(self, plan_id: str, names: Mapping[str, str] | None = None) -> int:
        """Read the plan and its selections and publish its servers' changes. Return the number of messages.

        `names` are the known names of resources by ARN. Raise `NotAllSent` if the queue refused a message.
        """
        # Taken before the plan is read: the messages hold from a time at which the plan was so.
        now = self.clock()
        plan = self.client.plan(plan_id)
        if plan is None:
            return self._retire(plan_id, now)
        for rule_id, rule in plan.rules.items():
            if rule.problem:
                extra = {"backup_plan_id": plan_id, "backup_rule_id": rule_id, "reason": rule.problem}
                logger.warning("schedule cannot be used, so no start of it is expected", extra=extra)
        selections = list(self.client.selections(plan_id))
        self.store.save_plan(plan)
        return self._send(self._changes(plan, selections, names or {}, now), now)

    def expect_nothing(self) -> int:
        """Publish that no backups are expected of any server, and delete all plans: before the source is switched off.

        Return the number of messages.
        """
        return sum(self._retire(plan_id, self.clock()) for plan_id in list(self.store.plan_ids()))

    def _retire(self, plan_id: str, now: datetime) -> int:
        published = self._send(self._deactivations(plan_id, now), now)
        self.store.forget_plan(plan_id)
        return published

    def _deactivations(self, plan_id: str, now: datetime) -> Iterator[tuple[PlannedServer, ServerPolicyChanged]]:
        for server in self.store.servers(plan_id):
            if change := server.deactivation(now, plan_exists=False):
                yield server, change

    def _changes(
        self, plan: BackupPlan, selections: list[Selection], names: Mapping[str, str], now: datetime
    ) -> Iterator[tuple[PlannedServer, ServerPolicyChanged]]:
        account = self.store.account(plan.aws_account)
        listed = {arn for selection in selections for arn in selection.listed}
        new = {(rule_id, arn) for rule_id, rule in plan.rules.items() if rule.schedule for arn in listed}
        for known in self.store.servers(plan.plan_id):
            new.discard((known.rule_id, known.resource_arn))
            server = replace(known, resource_name=names.get(known.resource_arn, known.resource_name))
            rule = plan.rules.get(server.rule_id)
            if rule and rule.schedule and server.is_selected(rule, selections, now):
                change = server.activation(plan, account, now)
            else:
                change = server.deactivation(now, plan_exists=True)
            if change:
                yield server, change
        for rule_id, arn in sorted(new):
            server = PlannedServer(server_policy_id(rule_id, arn), plan.plan_id, rule_id, arn, names.get(arn))
            if change := server.activation(plan, account, now):
                yield server, change

    def _send(self, changes: Iterator[tuple[PlannedServer, ServerPolicyChanged]], now: datetime) -> int:
        published = 0
        for taken in self.queue.send_all((server.after(change), body_of(change)) for server, change in changes):
            # Only now: a message that the queue did not take must be sent the next time.
            for server in taken:
                # The job publisher may have stored a newer job meanwhile, so `last_job_at` is not written here.
                self.store.save_server(replace(server, last_job_at=None), now)
            published += len(taken)
        return published
