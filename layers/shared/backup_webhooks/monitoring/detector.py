"""Finds the backups that never started: one tick a minute over what is due, and over nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Self

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.aws import clients
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.settings import MissedBackupsSettings
from backup_webhooks.events.messages import Heartbeat, encode_message
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import SHARDS, ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_SQS_BATCH = 10
_THREADS = 8
# What is under way when this little time is left can still end.
_RESERVE = timedelta(seconds=10)

logger = Logger(child=True)


class TickResult(Struct, frozen=True):
    """What a tick, or a part of it, has come to.

    `due`: server policies whose deadline had passed; `sent`: misses told; `lag`: the longest time from a deadline to
    the tick. `heartbeat_age`: from when the newest heartbeat that was read was sent to the tick; None before the first.
    """

    due: int = 0
    sent: int = 0
    lag: timedelta = timedelta()
    heartbeat_age: timedelta | None = None


class _Judgement(Struct, frozen=True):
    """The tick's time; as of when it judges; when missed_backups last came back after a gap; when it must stop."""

    now: datetime
    as_of: datetime
    resumed_at: datetime
    stop_at: datetime


class Detector(Struct, frozen=True):
    """Judges server policies. Several may run at once: what is then told twice is posted once, by its claim."""

    policies: ServerPoliciesStore
    heartbeats: WatermarkStore
    sqs: SQSClient
    queue_url: str
    grace: timedelta
    clock: Clock = utc_now
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "shard"))

    @classmethod
    def of(cls, settings: MissedBackupsSettings) -> Self:
        """One on the table and the queue that the settings name."""
        dynamodb = clients.dynamodb()
        return cls(
            policies=ServerPoliciesStore(dynamodb, settings.server_policies_table),
            heartbeats=WatermarkStore(dynamodb, settings.server_policies_table),
            sqs=clients.sqs(),
            queue_url=settings.backup_events_queue_url,
            grace=settings.heartbeat_grace,
        )

    def tick(self, now: datetime, deadline: datetime) -> TickResult:
        """Judge what is due at `now`, the tick's own time; stop in good time before `deadline`, the function's end.

        What is left is taken up by the next tick. Raises botocore's errors, once all shards have been tried.
        """
        before = self.heartbeats.load()
        watermark = before.ticked(now, self.grace)
        self.heartbeats.save_tick(watermark, before.read)
        heartbeat = Heartbeat(sent_date=Timestamp.of(now))
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=encode_message(heartbeat))
        as_of = watermark.as_of(now, self.grace)
        tallies = []
        if as_of is not None:
            judgement = _Judgement(now, as_of, watermark.resumed_at or now, deadline - _RESERVE)
            futures = [self._threads.submit(self._judge_shard, shard, judgement) for shard in range(SHARDS)]
            wait(futures)
            tallies = [future.result() for future in futures]
        return TickResult(
            due=sum(tally.due for tally in tallies),
            sent=sum(tally.sent for tally in tallies),
            lag=max((tally.lag for tally in tallies), default=timedelta()),
            heartbeat_age=now - watermark.newest_read if watermark.newest_read else None,
        )

    def _judge_shard(self, shard: int, judgement: _Judgement) -> TickResult:
        tally = TickResult()
        for page in self.policies.due(shard, judgement.as_of):
            # Read anew, a policy that the index still held may have been answered or told of since.
            missed = [policy for policy in page if policy.missed(judgement.as_of)]
            tally = replace(tally, due=tally.due + len(missed))
            for ten in batched(missed, _SQS_BATCH, strict=False):
                if self.clock() >= judgement.stop_at:
                    logger.warning("out of time; the next tick goes on", extra={"shard": shard})
                    return tally
                told = self._tell(ten)
                lags = [judgement.now - policy.deadline for policy in told if policy.deadline]
                tally = replace(tally, sent=tally.sent + len(told), lag=max([tally.lag, *lags]))
                # Only now: were it moved on before it is told, a function killed between the two would lose the miss.
                for policy in told:
                    self._move_on(policy, judgement.resumed_at)
        return tally

    def _tell(self, missed: Sequence[TrackedPolicy]) -> list[TrackedPolicy]:
        """Send a `BackupMissed` for each; those that the queue took."""
        answer = self.sqs.send_message_batch(
            QueueUrl=self.queue_url,
            Entries=[
                {"Id": str(position), "MessageBody": encode_message(policy.miss())}
                for position, policy in enumerate(missed)
            ],
        )
        for failure in answer.get("Failed", []):
            logger.warning("a miss could not be sent; the next tick tries again", extra={"reason": failure["Code"]})
        return [missed[int(entry["Id"])] for entry in answer.get("Successful", [])]

    def _move_on(self, policy: TrackedPolicy, resumed_at: datetime) -> None:
        try:
            self.policies.save(policy.after_miss(resumed_at))
        except Conflict:
            # Another tick, or a message of the server's: what it left is judged by the next tick.
            logger.info("changed meanwhile", extra={"server_policy_id": policy.server_policy_id})
        except (BotoCoreError, ClientError):
            raise
        except Exception:
            # One policy that can't be judged, for a zone that is no more, say, must not silence those behind it.
            logger.exception("could not be moved on", extra={"server_policy_id": policy.server_policy_id})
