"""A single attempt at a delivery: claim, post, record. A message that comes twice is posted once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Annotated

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Meta, Struct, field, structs

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import TryAgain
from backup_webhooks.aws.retry import jittered
from backup_webhooks.aws.settings import Settings, Text, WholeNumber
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState, RecordedState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.deliveries.health_recorder import HealthRecorder
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.retry_schedule import RetrySchedule
from backup_webhooks.deliveries.settlements_store import SettlementsStore
from backup_webhooks.events.timestamps import Clock, utc_now
from backup_webhooks.monitoring.streaks_store import StreaksStore
from backup_webhooks.posting.sender import EXCHANGE_SECONDS, AttemptResult, Sender
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.health import GONE
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import DeliveryMode, Target

# The longest that a call to DynamoDB or SQS takes: three tries of 3 s, and the pauses between them.
_CALL_NEEDS = timedelta(seconds=10)
# A POST that begins must be able to end and to be recorded, even if DynamoDB is slow.
ATTEMPT_NEEDS = timedelta(seconds=EXCHANGE_SECONDS) + _CALL_NEEDS
_PAUSE_SECONDS, _MOST_DOUBLINGS = 0.2, 4
# A shorter part of a destination's key gives nothing away.
_SHORTEST_PART = 4

logger = Logger(child=True)


class DeliverySettings(Settings, frozen=True, kw_only=True):
    """Settings of a function that posts: tables, the retry queue, and the delays before each retry."""

    webhooks_table: Text
    server_policies_table: Text
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
    result of the POST that was made just now, if any.
    """

    state: DeliveryState | None
    result: AttemptResult | None = None


DEFERRED = Outcome(None)


class Made(Struct, frozen=True):
    """An attempt that was made. `retry_at`: when it is retried. `unsent`: what follows, until it is sent."""

    claim: Claim
    result: AttemptResult
    state: DeliveryState
    retry_at: datetime | None
    unsent: AttemptDue | None


class Deliverer(Struct, frozen=True):
    """Makes single attempts. Shared by threads.

    `queues`: where the attempt goes that follows one of that state. `unrecorded`: the attempts of this environment that
    could not be recorded, by `webhook-id`. None of them is made again here.
    """

    deliveries: DeliveriesStore
    settlements: SettlementsStore
    sender: Sender
    health: HealthRecorder
    schedule: RetrySchedule
    streaks: StreaksStore
    queues: Mapping[DeliveryState, RetryQueue]
    clock: Clock = utc_now
    sleep: Callable[[float], None] = time.sleep
    unrecorded: dict[str, Made] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: DeliverySettings,
        targets: TargetsCache,
        queues: Mapping[DeliveryState, RetryQueue],
        aws: Clients = clients,
        clock: Clock = utc_now,
    ) -> Deliverer:
        """Return a deliverer that uses the tables of the settings."""
        dynamodb = aws.dynamodb()
        deliveries = DeliveriesStore(dynamodb, settings.deliveries_table, settings.delivery_retention)
        return cls(
            deliveries=deliveries,
            settlements=SettlementsStore(deliveries),
            sender=Sender(allow_private_targets=settings.allow_private_targets),
            health=HealthRecorder(
                TargetsStore(dynamodb, settings.webhooks_table),
                targets,
                DeliveryLog(dynamodb, settings.deliveries_table),
            ),
            schedule=RetrySchedule(settings.retry_delays),
            streaks=StreaksStore(dynamodb, settings.server_policies_table),
            queues=queues,
            clock=clock,
        )

    def deliver(self, due: AttemptDue, target: Target, deadline: datetime) -> Outcome:
        """Return the outcome of the attempt, which is made now or was made before.

        `deadline`: when Lambda stops this function; its claim ends then. Raise `TryAgain`, and botocore's errors, for
        what fails before the POST. After it, raise them only if what follows a failed attempt may not be sent yet.
        """
        self._finish_earlier()
        self._check_time(deadline)
        if overtaken := self._overtaken(due.delivery):
            return self._withdraw(due, overtaken)
        match self.deliveries.claim(due, target, now=self.clock(), until=deadline):
            case RecordedState() as recorded:
                logger.info("already attempted", extra=due.delivery.log_fields())
                return _outcome_before(due, recorded)
            case claim:
                # If it is not used, it lapses at the deadline.
                self._check_time(deadline)
                return self._attempt(due, target, claim, deadline)

    def abandon(self, due: AttemptDue, reason: str) -> Outcome:
        """Return the outcome of a delivery whose target must not be called any more.

        Raise `TryAgain`, and botocore's errors.
        """
        logger.info("not attempted", extra=due.delivery.log_fields() | {"reason": reason})
        recorded = self.settlements.abandon(due, reason, self.clock())
        return _outcome_before(due, recorded) if recorded else Outcome(DeliveryState.FAILED)

    def _overtaken(self, delivery: Delivery) -> str | None:
        """Return what has happened since, if the delivery would now leave an incident open or closed wrongly."""
        incident = delivery.incident
        if incident is None:
            return None
        streaks = self.streaks.load(incident.account, incident.server_policy_id)
        return streaks.overtaking(delivery.event_type, incident.as_of)

    def _withdraw(self, due: AttemptDue, reason: str) -> Outcome:
        logger.info("suppressed", extra=due.delivery.log_fields() | {"reason": reason})
        recorded = self.settlements.withdraw(due, reason, self.clock())
        return _outcome_before(due, recorded) if recorded else Outcome(DeliveryState.SUPPRESSED)

    def _finish_earlier(self) -> None:
        """Try once more to record what this environment could not. Raise `TryAgain` if DynamoDB or SQS still fails.

        No other POST is made before: it could not be recorded either. Threads may record the same at once.
        """
        for webhook_id, made in list(self.unrecorded.items()):
            self._finish(made, self.clock())
            if webhook_id in self.unrecorded:
                raise TryAgain("an earlier attempt could not be recorded yet")

    def _check_time(self, deadline: datetime) -> None:
        if deadline - self.clock() < ATTEMPT_NEEDS:
            raise TryAgain("too little time is left for an attempt")

    def _attempt(self, due: AttemptDue, target: Target, claim: Claim, deadline: datetime) -> Outcome:
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
        made = Made(claim, result, *self._judge(due, target, result, now))
        self._finish(made, deadline)
        if recheck := self.health.record(target, result, now):
            # A lost one leaves the target off, which its customer sees.
            with suppress(BotoCoreError, ClientError):
                self.queues[DeliveryState.RETRYING].send(recheck, now)
        return Outcome(made.state, result)

    def _judge(
        self, due: AttemptDue, target: Target, result: AttemptResult, now: datetime
    ) -> tuple[DeliveryState, datetime | None, AttemptDue | None]:
        """Return the state of the delivery after the attempt, when it is retried, and the attempt that follows."""
        if result.delivered:
            return DeliveryState.DELIVERED, None, None
        if target.delivery is DeliveryMode.ONCE or result.status == GONE:
            return DeliveryState.FAILED, None, None
        if retry_at := self.schedule.retry_at(due.retries, result.retry_after, now):
            return DeliveryState.RETRYING, retry_at, due.retry(retry_at)
        return DeliveryState.EXHAUSTED, None, due.replay(now)

    def _finish(self, made: Made, deadline: datetime) -> None:
        """Send the attempt that follows, then record this one. Repeat what fails while time is left.

        In this order, so that a message that comes again once the attempt is recorded sends nothing: else copies of one
        message would lead to as many of the next. Raise botocore's errors if the message may not be sent yet.
        """
        delivery = made.claim.delivery
        for attempt in count():
            try:
                if made.unsent:
                    self.queues[made.state].send(made.unsent, self.clock())
                    made = structs.replace(made, unsent=None)
                self.deliveries.record(made.claim, made.result, made.state, made.retry_at)
            except (BotoCoreError, ClientError) as error:
                wait = jittered(min(attempt, _MOST_DOUBLINGS), _PAUSE_SECONDS)
                if deadline - self.clock() >= _CALL_NEEDS + timedelta(seconds=wait):
                    self.sleep(wait)
                    continue
                self.unrecorded[delivery.webhook_id] = made
                logger.error("attempt not recorded", extra=delivery.log_fields() | {"reason": str(error)})
                if made.unsent:
                    raise
            else:
                self.unrecorded.pop(delivery.webhook_id, None)
            return


def _outcome_before(due: AttemptDue, recorded: RecordedState) -> Outcome:
    """Return the outcome of an attempt that was made before. Raise `TryAgain` while another function makes it."""
    if recorded.attempts <= due.number and recorded.state is DeliveryState.CLAIMED:
        raise TryAgain("another function has claimed this delivery")
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
