"""Makes deliveries: claim, post, record, so that whatever is delivered twice to us is posted once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks import clients
from backup_webhooks.delivery import Delivery
from backup_webhooks.moments import Clock, utc_now
from backup_webhooks.sender import EXCHANGE_SECONDS, Attempt, Sender
from backup_webhooks.settings import DeliverySettings
from backup_webhooks.stores.deliveries import Claim, ClaimRefused, DeliveriesStore

# An attempt that is begun must be able to end and to be recorded, though DynamoDB is slow to do both claim and record.
ATTEMPT_NEEDS = timedelta(seconds=EXCHANGE_SECONDS + 10)

logger = Logger(child=True)


class Postponed(Exception):
    """The delivery is not settled and can't be attempted now: its message must come again."""


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Makes single attempts. Shared by threads."""

    deliveries: DeliveriesStore
    sender: Sender
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DeliverySettings) -> Self:
        """One on the tables that the settings name."""
        store = DeliveriesStore(clients.dynamodb(), settings.deliveries_table, settings.delivery_retention)
        return cls(store, Sender(allow_private_targets=settings.allow_private_targets))

    def deliver(self, delivery: Delivery, deadline: datetime) -> Attempt | None:
        """Attempt the delivery, or answer None where it was attempted before.

        `deadline` is when this function will be stopped: no claim of it outlives that moment. Raises `Postponed`,
        and botocore's errors for what fails before the attempt; nothing after it, lest it be made again.
        """
        now = self.clock()
        if deadline - now < ATTEMPT_NEEDS:
            raise Postponed("too little time is left for an attempt")
        match self.deliveries.claim(delivery, now=now, until=deadline):
            case ClaimRefused.SETTLED:
                logger.info("already attempted", extra=_log_fields(delivery))
                return None
            case ClaimRefused.HELD:
                raise Postponed("another function has this delivery in hand")
            case claim:
                return self._attempt(claim)

    def _attempt(self, claim: Claim) -> Attempt:
        delivery = claim.delivery
        attempt = self.sender.post(delivery.target.url, delivery.body, delivery.headers(self.clock()))
        logger.info(
            "posted" if attempt.delivered else "not delivered",
            extra=_log_fields(delivery)
            | {"http_status": attempt.status, "reason": attempt.reason, "milliseconds": attempt.milliseconds},
        )
        try:
            self.deliveries.record(claim, attempt)
        except (BotoCoreError, ClientError) as error:
            logger.error("the outcome could not be recorded", extra=_log_fields(delivery) | {"reason": str(error)})
        return attempt


def _log_fields(delivery: Delivery) -> dict[str, str]:
    # Never the URL: for Slack and its like it is the secret.
    return {
        "account": delivery.target.account,
        "event": delivery.target.event,
        "target_id": delivery.target.target_id,
        "webhook_id": delivery.webhook_id,
    }
