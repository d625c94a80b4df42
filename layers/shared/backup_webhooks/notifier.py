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
from backup_webhooks.messages import BackupStarted, InvalidMessage, Notice, parse_message
from backup_webhooks.sender import Attempt
from backup_webhooks.settings import DeliverySettings
from backup_webhooks.stores.webhooks import WebhooksCache, WebhooksStore

# Ten messages of a batch with five targets each, all of them hanging.
_THREADS = 50

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
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "delivery"))

    @classmethod
    def of(cls, settings: DeliverySettings) -> Self:
        """One on the tables that the settings name."""
        store = WebhooksStore(clients.dynamodb(), settings.webhooks_table)
        return cls(WebhooksCache(store.of_account), Deliverer.of(settings))

    def handle(self, record: SQSRecord, deadline: datetime) -> Notified:
        """Do what the record's message calls for.

        Raises `InvalidMessage`, `Postponed` and botocore's errors, logged, for a message that must come again or
        end in the dead letters.
        """
        try:
            message = parse_message(record.body)
            if isinstance(message, BackupStarted):
                return Notified()
            return self._notify(message, deadline)
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

    def _notify(self, notice: Notice, deadline: datetime) -> Notified:
        event = notice.webhook_event
        if event is None:
            return Notified()
        targets = self.webhooks.targets(notice.account_alias, event)
        if not targets:
            logger.info("no webhook", extra={"account": notice.account_alias, "event": event})
            return Notified(without_webhook=True)
        # Each target is attempted before any failure of ours is raised, which makes the message come again.
        futures = [
            self._threads.submit(self.deliverer.deliver, Delivery.of(notice, target), deadline) for target in targets
        ]
        failures = [failure for future in futures if (failure := future.exception())]
        if failures:
            raise failures[0]
        return Notified(attempts=tuple(attempt for future in futures if (attempt := future.result())))
