"""Finds backups that never started or never ended, and successes that are too old.

Each minute's tick reads only the server policies whose deadline has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
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
from backup_webhooks.monitoring.server_policies import Report, TrackedPolicy
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

    `due`: server policies of which something was to be reported. `sent`: events reported. `lag`: the longest time from
    a deadline to the tick. `heartbeat_age`: the time from the newest heartbeat that was read to the tick; None
    before the first.
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
    """Judges server policies. Several may run at once: an event that is sent twice is posted once, by its claim."""

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
            judged = [(policy, report) for policy in page if (report := self._judge(policy, judgement))]
            result = replace(result, due=result.due + len(judged))
            for ten in batched(judged, MOST_IN_A_CALL, strict=False):
                if self.clock() >= judgement.stop_at:
                    logger.warning("out of time; the next tick continues", extra={"shard": shard})
                    return result
                ((reported, _),) = send_batches(self.events.sqs, self.events.url, ten, _entry)
                lags = [judgement.now - report.deadline for _, report in reported]
                result = replace(result, sent=result.sent + len(reported), lag=max([result.lag, *lags]))
                # In this order: if the function is killed between the two, the next tick sends the event again.
                for policy, report in reported:
                    self._save(policy, partial(policy.after_report, report.event, judgement.resumed_at))
        return result

    def _judge(self, policy: TrackedPolicy, judgement: _Judgement) -> Report | None:
        """Return what is to be reported of the policy; None if nothing is, and then the index is set right."""
        report: Report | None = None
        with _harming_no_other(policy):
            report = policy.report_due(judgement.as_of)
        if report is None:
            # The index lags, or holds an earlier time, as ends do not write it.
            self._save(policy, policy.judged_anew)
        return report

    def _save(self, policy: TrackedPolicy, changed: Callable[[], TrackedPolicy]) -> None:
        with _harming_no_other(policy):
            after = changed()
            if after != policy:
                self.policies.save(after)


@contextmanager
def _harming_no_other(policy: TrackedPolicy) -> Iterator[None]:
    """Log an error of one policy, so that it does not silence those behind it. Raise botocore's errors."""
    try:
        yield
    except Conflict:
        # By another tick or a message. The next tick judges the policy as it is then.
        logger.info("server policy changed meanwhile", extra={"server_policy_id": policy.server_policy_id})
    except (BotoCoreError, ClientError):
        raise
    except Exception:
        logger.exception("server policy not judged", extra={"server_policy_id": policy.server_policy_id})


def _entry(judged: tuple[TrackedPolicy, Report]) -> dict[str, Any]:
    _, report = judged
    return {"MessageBody": encode_message(report.event)}
