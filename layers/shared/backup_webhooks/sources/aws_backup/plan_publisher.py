"""Tells of AWS Backup's plans: which servers are to be backed up when, and which no longer are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws import clients
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
    """Some plans could not be read, or what follows from them not be told; the others have been."""


class AwsPlanPublisher(Struct, frozen=True):
    """Puts `ServerPolicyChanged` on BackupEventsQueue, and notes what it has told. Raises botocore's errors."""

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

    def read_all(self, deadline: datetime) -> int:
        """Read all plans, and tell what has changed; how many messages that were.

        A plan that fails harms no other: `PlansNotRead` once all have been tried, or when time is short.
        """
        names = self.reader.resource_names()
        there = set(self.reader.plan_ids())
        told, failed = 0, 0
        for plan_id in sorted(there | set(self.store.plan_ids())):
            if self.clock() >= deadline - _RESERVE:
                raise PlansNotRead("out of time; what is left is told the next time")
            try:
                told += self.read(plan_id, names)
            except (BotoCoreError, ClientError, NotAllSent, InvalidMessage) as error:
                logger.error("plan failed", extra={"backup_plan_id": plan_id, "reason": str(error)})
                failed += 1
        if failed:
            raise PlansNotRead(f"{failed} plans")
        return told

    def read(self, plan_id: str, names: Mapping[str, str] | None = None) -> int:
        """Read the plan and its selections, and tell what has changed of its servers; how many messages that were.

        `names`: of resources, by ARN, as far as they are known. Raises `NotAllSent`.
        """
        # Before it is read: what is told counts from a moment at which it was so.
        now = self.clock()
        plan = self.reader.plan(plan_id)
        if plan is None:
            return self._end(plan_id, now)
        for rule_id, rule in plan.rules.items():
            if rule.problem:
                extra = {"backup_plan_id": plan_id, "backup_rule_id": rule_id, "reason": rule.problem}
                logger.warning("schedule can't be used, so no start of it is expected", extra=extra)
        selections = list(self.reader.selections(plan_id))
        self.store.save_plan(plan)
        return self._send(self._changed(plan, selections, names or {}, now), now)

    def expect_nothing(self) -> int:
        """Tell of all that is expected that it no longer is, and forget it: before the source is switched off."""
        return sum(self._end(plan_id, self.clock()) for plan_id in list(self.store.plan_ids()))

    def _end(self, plan_id: str, now: datetime) -> int:
        told = self._send(self._ended(plan_id, now), now)
        self.store.forget_plan(plan_id)
        return told

    def _ended(self, plan_id: str, now: datetime) -> Iterator[tuple[PlannedServer, ServerPolicyChanged]]:
        for server in self.store.servers(plan_id):
            if change := server.no_longer_expecting(now, plan_is_there=False):
                yield server, change

    def _changed(
        self, plan: BackupPlan, selections: list[Selection], names: Mapping[str, str], now: datetime
    ) -> Iterator[tuple[PlannedServer, ServerPolicyChanged]]:
        account = self.store.account(plan.aws_account)
        listed = {arn for selection in selections for arn in selection.listed}
        unknown = {(rule_id, arn) for rule_id, rule in plan.rules.items() if rule.schedule for arn in listed}
        for known in self.store.servers(plan.plan_id):
            unknown.discard((known.rule_id, known.resource_arn))
            server = replace(known, resource_name=names.get(known.resource_arn, known.resource_name))
            rule = plan.rules.get(server.rule_id)
            if rule and rule.schedule and server.is_selected(rule, selections, now):
                change = server.expecting(plan, account, now)
            else:
                change = server.no_longer_expecting(now, plan_is_there=True)
            if change:
                yield server, change
        for rule_id, arn in sorted(unknown):
            server = PlannedServer(server_policy_id(rule_id, arn), plan.plan_id, rule_id, arn, names.get(arn))
            if change := server.expecting(plan, account, now):
                yield server, change

    def _send(self, changes: Iterator[tuple[PlannedServer, ServerPolicyChanged]], now: datetime) -> int:
        told = 0
        for taken in self.queue.send_all((server.after(change), body_of(change)) for server, change in changes):
            # Only now: what the queue did not take is to be told the next time.
            for server in taken:
                # A job may have been heard of meanwhile: the newest one's time is not this function's to write.
                self.store.save_server(replace(server, last_job_at=None), now)
            told += len(taken)
        return told
