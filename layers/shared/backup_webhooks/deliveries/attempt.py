"""A single attempt at a delivery: claim, post, record. A message that comes twice is posted once."""

from __future__ import annotations

from copy import replace
from datetime import datetime, timedelta
from typing import Annotated

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Meta, Struct

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import TryAgain
from backup_webhooks.aws.settings import Settings, Text, WholeNumber
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState, RecordedState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.health_recorder import HealthRecorder
from backup_webhooks.deliveries.retry_schedule import RetrySchedule
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.posting.sender import EXCHANGE_SECONDS, AttemptResult, Sender
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.health import GONE
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import DeliveryMode, Target

# An attempt that begins must be able to end and to be recorded, even if DynamoDB is slow at both claim and record.
ATTEMPT_NEEDS = timedelta(seconds=EXCHANGE_SECONDS + 10)
# A shorter part of a destination's key gives nothing away.
_SHORTEST_PART = 4

logger = Logger(child=True)


class DeliverySettings(Settings, frozen=True, kw_only=True):
    """Settings of a function that posts: tables, the retry queue, and the delays before each retry."""

    webhooks_table: Text
    deliveries_table: Text
    delivery_retention_days: WholeNumber
    allow_private_targets: bool
    retry_queue_url: Text
    # 1 to 20 whole numbers from 1 to 999999, with commas between them.
    retry_delays_seconds: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,19}\Z")]

    @property
    def delivery_retention(self) -> timedelta:
        """Return how long a delivery record is kept."""
        return timedelta(days=self.delivery_retention_days)

    @property
    def retry_delays(self) -> tuple[timedelta, ...]:
        """Return the delays before the retries, the first retry's first."""
        return tuple(timedelta(seconds=int(delay)) for delay in self.retry_delays_seconds.split(","))


class Outcome(Struct, frozen=True):
    """The outcome of a delivery in one function.

    `state`: the state in the delivery log, or None for a delivery that was deferred to the retry queue. `result`: the
    result of the POST that was made just now, if any. `next`: the attempt that is to be sent to RetryQueue if `state`
    is RETRYING, to the dead-letter queue if it is EXHAUSTED.
    """

    state: DeliveryState | None
    result: AttemptResult | None = None
    next: AttemptDue | None = None


DEFERRED = Outcome(None)


class Deliverer(Struct, frozen=True):
    """Makes single attempts. Shared by threads."""

    deliveries: DeliveriesStore
    sender: Sender
    health: HealthRecorder
    schedule: RetrySchedule
    clock: Clock = utc_now

    @classmethod
    def of(
        cls, settings: DeliverySettings, targets: TargetsCache, aws: Clients = clients, clock: Clock = utc_now
    ) -> Deliverer:
        """Return a deliverer that uses the tables of the settings."""
        dynamodb = aws.dynamodb()
        return cls(
            deliveries=DeliveriesStore(dynamodb, settings.deliveries_table, settings.delivery_retention),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            health=HealthRecorder(TargetsStore(dynamodb, settings.webhooks_table), targets),
            schedule=RetrySchedule(settings.retry_delays),
            clock=clock,
        )

    def deliver(self, due: AttemptDue, target: Target, deadline: datetime) -> Outcome:
        """Return the outcome of the attempt, which is made now or was made before.

        `deadline`: when Lambda stops this function; its claim ends then. Raise `TryAgain`, and botocore's errors, for
        what fails before the POST. Raise nothing after it, so that it is not made again.
        """
        now = self.clock()
        if deadline - now < ATTEMPT_NEEDS:
            raise TryAgain("too little time is left for an attempt")
        match self.deliveries.claim(due, target, now=now, until=deadline):
            case RecordedState() as recorded:
                logger.info("already attempted", extra=due.delivery.log_fields())
                return self._outcome_before(due, recorded, now)
            case claim:
                return self._attempt(due, target, claim)

    def abandon(self, due: AttemptDue, reason: str) -> Outcome:
        """Return the outcome of a delivery whose target must not be called any more.

        Raise `TryAgain`, and botocore's errors.
        """
        logger.info("not attempted", extra=due.delivery.log_fields() | {"reason": reason})
        now = self.clock()
        match self.deliveries.abandon(due, reason, now):
            case None:
                return Outcome(DeliveryState.FAILED)
            case RecordedState(state=DeliveryState.EXHAUSTED, attempts=attempts) if attempts < due.number:
                # A dead letter that was redriven goes back to where the log says that it is.
                return Outcome(DeliveryState.EXHAUSTED, next=due)
            case recorded:
                return self._outcome_before(due, recorded, now)

    def _attempt(self, due: AttemptDue, target: Target, claim: Claim) -> Outcome:
        delivery = due.delivery
        result = post(self.sender, delivery, target, self.clock())
        logger.info(
            "posted" if result.delivered else "not delivered",
            extra=delivery.log_fields()
            | {
                "attempt": due.number,
                "http_status": result.status,
                "reason": result.reason,
                "milliseconds": result.milliseconds,
            },
        )
        now = self.clock()
        state, following = self._judge(due, target, result, now)
        retry_at = following.due_at if following and state is DeliveryState.RETRYING else None
        try:
            self.deliveries.record(claim, result, state, retry_at)
        except (BotoCoreError, ClientError) as error:
            logger.error("attempt not recorded", extra=delivery.log_fields() | {"reason": str(error)})
        self.health.record(target, result, now)
        return Outcome(state, result, following)

    def _judge(
        self, due: AttemptDue, target: Target, result: AttemptResult, now: datetime
    ) -> tuple[DeliveryState, AttemptDue | None]:
        """Return the state of the delivery after the attempt, and the attempt that follows, if any."""
        if result.delivered:
            return DeliveryState.DELIVERED, None
        if target.delivery is DeliveryMode.ONCE or result.status == GONE:
            return DeliveryState.FAILED, None
        if retry_at := self.schedule.retry_at(due.retries, result.retry_after, now):
            return DeliveryState.RETRYING, due.retry(retry_at)
        return DeliveryState.EXHAUSTED, due.replay(now)

    def _outcome_before(self, due: AttemptDue, recorded: RecordedState, now: datetime) -> Outcome:
        """Return the outcome of an attempt that was made before. Raise `TryAgain` while another function makes it.

        The function that made it may have been killed before it sent the next one. Sent twice, that is made once. The
        message of a later attempt sends what follows that one.
        """
        if recorded.attempts <= due.number and recorded.state is DeliveryState.CLAIMED:
            raise TryAgain("another function has claimed this delivery")
        if recorded.attempts == due.number:
            match recorded:
                case RecordedState(state=DeliveryState.RETRYING, retry_at=datetime() as retry_at):
                    return Outcome(recorded.state, next=due.retry(retry_at))
                case RecordedState(state=DeliveryState.EXHAUSTED):
                    return Outcome(recorded.state, next=due.replay(now))
        return Outcome(recorded.state)


def post(sender: Sender, delivery: Delivery, target: Target, now: datetime) -> AttemptResult:
    """Return the result of one POST, signed, with the target's settings as they are now.

    An endpoint may echo the request, so the destination's key is masked in the stored answer.
    """
    body = delivery.body_for(target)
    result = sender.post(target.url, body, delivery.headers(target, body, now))
    if target.destination_key is None:
        return result
    return replace(result, response=_masked(target.destination_key.encode(), result.response))


def _masked(key: bytes, response: bytes) -> bytes:
    """Return the answer without the key, at the same length: no part of a key moves to where the answer is cut."""
    response = response.replace(key, b"*" * len(key))
    # An answer that is cut may end in the midst of the key.
    for length in range(len(key) - 1, _SHORTEST_PART - 1, -1):
        if response.endswith(key[:length]):
            return response[:-length] + b"*" * length
    return response
