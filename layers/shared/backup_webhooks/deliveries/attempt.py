"""Makes deliveries: claim, post, record, so that whatever comes twice to us is posted once."""

from __future__ import annotations

from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.aws import clients
from backup_webhooks.aws.errors import TryAgain
from backup_webhooks.aws.settings import DeliverySettings
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState, RecordedState
from backup_webhooks.deliveries.delivery import AttemptDue
from backup_webhooks.deliveries.health_recorder import HealthRecorder
from backup_webhooks.deliveries.post import post
from backup_webhooks.deliveries.retry_schedule import RetrySchedule
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.posting.sender import EXCHANGE_SECONDS, AttemptResult, Sender
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.health import GONE
from backup_webhooks.targets.target import DeliveryMode, Target
from backup_webhooks.targets.webhooks_store import WebhooksStore

# An attempt that is begun must be able to end and to be recorded, though DynamoDB is slow to do both claim and record.
ATTEMPT_NEEDS = timedelta(seconds=EXCHANGE_SECONDS + 10)

logger = Logger(child=True)


class Outcome(Struct, frozen=True):
    """How a delivery stands, and what is to follow from it.

    `attempt`: what was posted just now; None where it had been before. `then`: the message by which it goes on, to
    RetryQueue where `state` is RETRYING, to the dead letters where it is EXHAUSTED.
    """

    state: DeliveryState
    attempt: AttemptResult | None = None
    then: AttemptDue | None = None


class Deliverer(Struct, frozen=True):
    """Makes single attempts. Shared by threads."""

    deliveries: DeliveriesStore
    sender: Sender
    health: HealthRecorder
    schedule: RetrySchedule
    clock: Clock = utc_now

    @classmethod
    def of(cls, settings: DeliverySettings, webhooks: TargetsCache) -> Deliverer:
        """One on the tables that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            deliveries=DeliveriesStore(dynamodb, settings.deliveries_table, settings.delivery_retention),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            health=HealthRecorder(WebhooksStore(dynamodb, settings.webhooks_table), webhooks),
            schedule=RetrySchedule(settings.retry_delays),
        )

    def deliver(self, order: AttemptDue, target: Target, deadline: datetime) -> Outcome:
        """Make the attempt, or find that it was made before; either way say what follows.

        `deadline` is when this function will be stopped: no claim of it outlives that moment. Raises `TryAgain`,
        and botocore's errors for what fails before the attempt; nothing after it, lest it be made again.
        """
        now = self.clock()
        if deadline - now < ATTEMPT_NEEDS:
            raise TryAgain("too little time is left for an attempt")
        match self.deliveries.claim(order, target, now=now, until=deadline):
            case RecordedState() as standing:
                logger.info("already attempted", extra=order.delivery.log_fields())
                return self._outcome_before(order, standing, now)
            case claim:
                return self._attempt(order, target, claim)

    def abandon(self, order: AttemptDue, reason: str) -> Outcome:
        """Settle a delivery whose target is not to be called any more, or say what follows where it can't be settled.

        Raises `TryAgain`, and botocore's errors.
        """
        logger.info("not attempted", extra=order.delivery.log_fields() | {"reason": reason})
        now = self.clock()
        match self.deliveries.abandon(order, reason, now):
            case None:
                return Outcome(DeliveryState.FAILED)
            case RecordedState(state=DeliveryState.EXHAUSTED, attempts=attempts) if attempts < order.attempt:
                # A dead letter that was sent round again: back to where the log says that it is.
                return Outcome(DeliveryState.EXHAUSTED, then=order)
            case standing:
                return self._outcome_before(order, standing, now)

    def _attempt(self, order: AttemptDue, target: Target, claim: Claim) -> Outcome:
        delivery = order.delivery
        attempt = post(self.sender, delivery, target, self.clock())
        logger.info(
            "posted" if attempt.delivered else "not delivered",
            extra=delivery.log_fields()
            | {
                "attempt": order.attempt,
                "http_status": attempt.status,
                "reason": attempt.reason,
                "milliseconds": attempt.milliseconds,
            },
        )
        now = self.clock()
        outcome = self._judge(order, target, attempt, now)
        try:
            retry_at = outcome.then.due_at if outcome.state is DeliveryState.RETRYING and outcome.then else None
            self.deliveries.record(claim, attempt, outcome.state, retry_at)
        except (BotoCoreError, ClientError) as error:
            logger.error("the outcome could not be recorded", extra=delivery.log_fields() | {"reason": str(error)})
        self.health.record(target, attempt, now)
        return outcome

    def _judge(self, order: AttemptDue, target: Target, attempt: AttemptResult, now: datetime) -> Outcome:
        if attempt.delivered:
            return Outcome(DeliveryState.DELIVERED, attempt)
        if target.delivery is DeliveryMode.ONCE or attempt.status == GONE:
            return Outcome(DeliveryState.FAILED, attempt)
        if retry_at := self.schedule.retry_at(order.retries, attempt.retry_after, now):
            return Outcome(DeliveryState.RETRYING, attempt, order.retry(retry_at))
        return Outcome(DeliveryState.EXHAUSTED, attempt, order.replay(now))

    def _outcome_before(self, order: AttemptDue, standing: RecordedState, now: datetime) -> Outcome:
        """Whoever made this very attempt may have been killed before it said what follows; said twice, it is done once.

        What follows a later attempt is for that one's message to say.
        """
        if standing.attempts <= order.attempt and standing.state is DeliveryState.CLAIMED:
            raise TryAgain("another function has this delivery in hand")
        if standing.attempts == order.attempt:
            match standing:
                case RecordedState(state=DeliveryState.RETRYING, retry_at=datetime() as retry_at):
                    return Outcome(standing.state, then=order.retry(retry_at))
                case RecordedState(state=DeliveryState.EXHAUSTED):
                    return Outcome(standing.state, then=order.replay(now))
        return Outcome(standing.state)
