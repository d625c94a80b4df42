"""Finds the backups that never started. Each minute's tick reads only the server policies that are due."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.clients import Clients
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.queue import MOST_IN_A_CALL, send_batches
from backup_webhooks.aws.settings import Settings, Text, WholeNumber
from backup_webhooks.events.messages import Heartbeat, encode_message
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.monitoring.items import SHARDS
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore

_THREADS = 8
# Time for the calls that are under way to end.
_RESERVE = timedelta(seconds=10)

logger = Logger(child=True)


class DetectorSettings(Settings, frozen=True, kw_only=True):
    """The settings of missed_backups."""

    server_policies_table: Text
    backup_events_queue_url: Text
    heartbeat_grace_seconds: WholeNumber


class TickResult(Struct, frozen=True):
    """The result of a tick, or of one shard.

    `due`: server policies whose deadline had passed. `sent`: misses reported. `lag`: the longest time from a deadline
    to the tick. `heartbeat_age`: the time from the newest heartbeat that was read to the tick; None before the first.
    """

    due: int = 0
    sent: int = 0
    lag: timedelta = timedelta()
    heartbeat_age: timedelta | None = None


class _Judgement(Struct, frozen=True):
    """The tick's time, the watermark as of which it judges, the last tick after a gap, and when it must stop."""

    now: datetime
    as_of: datetime
    resumed_at: datetime
    stop_at: datetime


class Detector(Struct, frozen=True):
    """Judges server policies. Several may run at once: a miss that is then sent twice is posted once, by its claim."""

    policies: ServerPoliciesStore
    watermark_store: WatermarkStore
    events: BackupEventsQueue
    grace: timedelta
    clock: Clock = utc_now
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "shard"))

    @classmethod
    def of(cls, settings: DetectorSettings, aws: Clients = clients, clock: Clock = utc_now) -> Self:
        """Return a detector for the table and the queue in the settings."""
        dynamodb = aws.dynamodb()
        return cls(
            policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            watermark_store=WatermarkStore(dynamodb, settings.server_policies_table),
            events=BackupEventsQueue(aws.sqs(), settings.backup_events_queue_url),
            grace=timedelta(seconds=settings.heartbeat_grace_seconds),
            clock=clock,
        )

    def tick(self, now: datetime, deadline: datetime) -> TickResult:
        """Judge the policies that are due at `now`, the tick's scheduled time.

        Raise botocore's errors once all shards have been tried. Stop 10 s before `deadline`, the function's end: the
        next tick continues.
        """
        before = self.watermark_store.load()
        watermark = before.after_tick(now, self.grace)
        self.watermark_store.save_tick(watermark, before.read)
        self.events.send(Heartbeat(sent_date=Timestamp.of(now)))
        as_of = watermark.as_of(now, self.grace)
        results = []
        if as_of is not None:
            judgement = _Judgement(now, as_of, watermark.resumed_at or now, deadline - _RESERVE)
            futures = [self._threads.submit(self._judge_shard, shard, judgement) for shard in range(SHARDS)]
            wait(futures)
            results = [future.result() for future in futures]
        return TickResult(
            due=sum(result.due for result in results),
            sent=sum(result.sent for result in results),
            lag=max((result.lag for result in results), default=timedelta()),
            heartbeat_age=now - watermark.newest_read if watermark.newest_read else None,
        )

    def _judge_shard(self, shard: int, judgement: _Judgement) -> TickResult:
        result = TickResult()
        for page in self.policies.due(shard, judgement.as_of):
            # The index lags: a start may have come since, or another tick may have reported the miss.
            missed = [policy for policy in page if policy.is_missed(judgement.as_of)]
            result = replace(result, due=result.due + len(missed))
            for ten in batched(missed, MOST_IN_A_CALL, strict=False):
                if self.clock() >= judgement.stop_at:
                    logger.warning("out of time; the next tick continues", extra={"shard": shard})
                    return result
                ((reported, _),) = send_batches(self.events.sqs, self.events.url, ten, _entry)
                lags = [judgement.now - policy.deadline for policy in reported if policy.deadline]
                result = replace(result, sent=result.sent + len(reported), lag=max([result.lag, *lags]))
                # In this order: if the function is killed between the two, the next tick sends the miss again.
                for policy in reported:
                    self._save_after_miss(policy, judgement.resumed_at)
        return result

    def _save_after_miss(self, policy: TrackedPolicy, resumed_at: datetime) -> None:
        try:
            self.policies.save(policy.after_miss(resumed_at))
        except Conflict:
            # By another tick or a message. The next tick judges the policy as it is then.
            logger.info("server policy changed meanwhile", extra={"server_policy_id": policy.server_policy_id})
        except (BotoCoreError, ClientError):
            raise
        except Exception:
            # A policy that cannot be judged (its time zone may be gone) must not silence those behind it.
            logger.exception("miss reported but not recorded", extra={"server_policy_id": policy.server_policy_id})


def _entry(missed: TrackedPolicy) -> dict[str, Any]:
    return {"MessageBody": encode_message(missed.miss())}
