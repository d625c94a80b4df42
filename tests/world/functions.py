"""The functions of a world, made as their `of` makes them, but for clock, clients and threads."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.deliveries.attempt import Deliverer
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.health_recorder import HealthRecorder
from backup_webhooks.deliveries.notifier import Notifier
from backup_webhooks.deliveries.redeliverer import Redeliverer
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.retry_schedule import RetrySchedule
from backup_webhooks.deliveries.suppression import Suppression
from backup_webhooks.events.email_notices_queue import EmailNoticesQueue
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.history.backup_output_store import BackupOutputStore
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.detector import Detector
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.streaks_store import StreaksStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.posting.sender import AttemptResult, Sender
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.store import TargetsStore

from tests.faults.aws import Aws
from tests.faults.boundary import Boundary, Fault
from tests.faults.history import History
from tests.support.in_this_thread import InThisThread, SoonerOrLater

# As in the template.
NOTIFIER_TIMEOUT, TICK_TIMEOUT, GRACE = timedelta(seconds=30), timedelta(seconds=55), timedelta(seconds=420)
RETENTION = timedelta(days=30)
# Three steps of the schedule that is deployed.
DELAYS = (timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30))


class WatchedSender(Sender):
    """A POST is a request across the boundary too: a function may be killed before it and after it."""

    def __init__(self, boundary: Boundary, history: History) -> None:
        super().__init__(allow_private_targets=True)
        self._boundary, self._history = boundary, history

    def post(self, url: str, body: bytes, headers: Any) -> AttemptResult:
        fault = self._boundary.cross("endpoint", "POST", f"POST {len(self._history.happenings)}")
        self._history.on_post(headers["webhook-id"])
        attempt = super().post(url, body, headers)
        if fault is Fault.KILLED_AFTER:
            self._boundary.kill()
        return attempt


@dataclass(frozen=True)
class Functions:
    """One execution environment of each."""

    notifier: Notifier
    redeliverer: Redeliverer
    missed_backups: Detector

    @classmethod
    def of(
        cls, aws: Aws, boundary: Boundary, history: History, clock: Callable[[], datetime], chance: random.Random
    ) -> Functions:
        """New ones, which remember nothing."""
        webhooks = TargetsStore(aws.dynamodb, "WebhooksTable")
        deliveries = DeliveriesStore(aws.dynamodb, "DeliveriesTable", RETENTION)
        policies = ServerPoliciesStore(aws.dynamodb, "ServerPoliciesTable")
        watermark_store = WatermarkStore(aws.dynamodb, "ServerPoliciesTable")
        retries = RetryQueue(aws.sqs, "RetryQueue")
        grouper = Grouper(GroupsStore(deliveries), retries, clock)
        suppression = Suppression(deliveries, grouper, clock)
        reminders = Reminders(RemindersStore(aws.dynamodb, deliveries.table), retries, suppression, clock)

        def deliverer(cache: TargetsCache) -> Deliverer:
            return Deliverer(
                deliveries=deliveries,
                sender=WatchedSender(boundary, history),
                health=HealthRecorder(webhooks, cache),
                schedule=RetrySchedule(DELAYS, chance),
                clock=clock,
            )

        caches = [TargetsCache(webhooks.of_account, lambda: clock().timestamp()) for _ in range(2)]
        return cls(
            notifier=Notifier(
                targets=caches[0],
                deliverer=deliverer(caches[0]),
                retry_queue=retries,
                grouper=grouper,
                suppression=suppression,
                reminders=reminders,
                recorder=Recorder(policies, BackupEventsQueue(aws.sqs, "BackupEventsQueue")),
                backups=BackupsStore(aws.dynamodb, "BackupsTable"),
                backup_output=BackupOutputStore(aws.dynamodb, "BackupsTable"),
                watermark_store=watermark_store,
                email_notices=EmailNoticesQueue(aws.sqs, ""),
                clock=clock,
                _threads=SoonerOrLater(chance),
            ),
            redeliverer=Redeliverer(
                targets=caches[1],
                deliverer=deliverer(caches[1]),
                retry_queue=retries,
                dead_letter_queue=RetryQueue(aws.sqs, "RetryDeadLetterQueue"),
                grouper=grouper,
                reminders=reminders,
                streaks=StreaksStore(aws.dynamodb, "ServerPoliciesTable"),
                clock=clock,
            ),
            missed_backups=Detector(
                policies=policies,
                watermark_store=watermark_store,
                events=BackupEventsQueue(aws.sqs, "BackupEventsQueue"),
                grace=GRACE,
                clock=clock,
                _threads=InThisThread(),
            ),
        )
