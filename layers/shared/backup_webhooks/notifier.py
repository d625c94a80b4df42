"""Tells customers of their backups: from a queue record to the posts that it calls for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks import clients
from backup_webhooks.deliverer import Deliverer, Postponed
from backup_webhooks.delivery import Delivery
from backup_webhooks.messages import (
    BackupFinished,
    BackupMissed,
    BackupStarted,
    Heartbeat,
    InvalidMessage,
    Message,
    Notice,
    ServerPolicyChanged,
    parse_message,
)
from backup_webhooks.recorder import Recorder
from backup_webhooks.sender import Attempt
from backup_webhooks.settings import NotifierSettings
from backup_webhooks.stores.heartbeats import HeartbeatsStore
from backup_webhooks.stores.server_policies import ServerPoliciesStore
from backup_webhooks.stores.webhooks import WebhooksCache, WebhooksStore
from backup_webhooks.targets import Target

# Ten messages of a batch with five targets each, all of them hanging, and each recorded at the same time.
_THREADS = 60

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Notified:
    """What came of one message: the attempts that were made, and whether nobody had asked to be told."""

    attempts: tuple[Attempt, ...] = ()
    without_webhook: bool = False


@dataclass(frozen=True, slots=True)
class Notifier:
    """Handles messages, one call each. Shared by threads."""

    webhooks: WebhooksCache
    deliverer: Deliverer
    recorder: Recorder
    heartbeats: HeartbeatsStore
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "delivery"))

    @classmethod
    def of(cls, settings: NotifierSettings) -> Self:
        """One on the tables that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            webhooks=WebhooksCache(WebhooksStore(dynamodb, settings.delivery.webhooks_table).of_account),
            deliverer=Deliverer.of(settings.delivery),
            recorder=Recorder(ServerPoliciesStore(dynamodb, settings.server_policies_table)),
            heartbeats=HeartbeatsStore(dynamodb, settings.server_policies_table),
        )

    def handle(self, record: SQSRecord, deadline: datetime) -> Notified:
        """Do what the record's message calls for.

        Raises `InvalidMessage`, `Postponed` and botocore's errors, logged, for a message that must come again or
        end in the dead letters.
        """
        try:
            return self._handle(parse_message(record.body), deadline)
        except InvalidMessage as error:
            logger.warning(
                "message rejected",
                extra={"message_id": record.message_id, "field": error.field, "reason": error.reason},
            )
            raise
        except Postponed as error:
            logger.info("message postponed", extra={"message_id": record.message_id, "reason": str(error)})
            raise
        except (BotoCoreError, ClientError) as error:
            logger.error("message failed", extra={"message_id": record.message_id, "reason": str(error)})
            raise
        except Exception:
            logger.exception("message failed", extra={"message_id": record.message_id})
            raise

    def _handle(self, message: Message, deadline: datetime) -> Notified:
        match message:
            case Heartbeat():
                self.heartbeats.record_read(message.sent_date)
                return Notified()
            case BackupStarted() | ServerPolicyChanged():
                self.recorder.record(message)
                return Notified()
            case BackupMissed():
                return self._notify(message, deadline)
            case BackupFinished():
                # At the same time: the customer need not wait for our books.
                recorded = self._threads.submit(self.recorder.record, message)
                try:
                    return self._notify(message, deadline)
                finally:
                    recorded.result()

    def _notify(self, notice: Notice, deadline: datetime) -> Notified:
        event = notice.webhook_event
        if event is None:
            return Notified()
        targets = self.webhooks.targets(notice.account_alias, event)
        if not targets:
            logger.info("no webhook", extra={"account": notice.account_alias, "event": event})
            return Notified(without_webhook=True)
        # Each target is attempted before any failure of ours is raised, which makes the message come again.
        futures = [self._threads.submit(self._deliver, notice, target, deadline) for target in targets]
        failures = [failure for future in futures if (failure := future.exception())]
        if failures:
            raise failures[0]
        return Notified(attempts=tuple(attempt for future in futures if (attempt := future.result())))

    def _deliver(self, notice: Notice, target: Target, deadline: datetime) -> Attempt | None:
        return self.deliverer.deliver(Delivery.of(notice, target), deadline)
