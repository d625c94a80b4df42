"""A scripted night of the whole service, whose use is measured: starts, results, retries, misses, reports, views."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupStarted,
    BackupStatus,
    EventType,
    Message,
    ServerPolicyChanged,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.target import DeliveryMode, Target

from benchmarks.use import Use
from local.receiver import Receiver
from tests.world.aws import Aws
from tests.world.functions import EMAILS
from tests.world.queues import Message as QueuedMessage
from tests.world.world import BEGIN, DAY, World

SERVERS, LARGE = 30, 200
NIGHTS, REPORTED_NIGHTS = 35, 22
HOUR = timedelta(hours=1)
BATCHES = (10, 3, 1)
# Assumed, until an installation shows it: seconds at 512 MB for a batch, and for each result and start in it.
BATCH_SECONDS, RESULT_SECONDS, START_BATCH_SECONDS, START_SECONDS = 0.13, 0.033, 0.03, 0.012
# … for a heartbeat, a report's tick, another batch and a view; at 1,769 MB for a tick.
HEARTBEAT_SECONDS, REPORT_TICK_SECONDS, OTHER_SECONDS, VIEW_SECONDS, TICK_SECONDS = 0.03, 0.1, 0.3, 0.1, 0.075
# … at 1,024 MB for a report, and for each server in it (`make bench large_account`).
REPORT_SECONDS, REPORTED_SERVER_SECONDS = 2, 0.0007
GB, TICK_GB, REPORT_GB = 0.5, 1.73, 1
# Measured: our lines for an invocation and for a post; assumed: Lambda's own lines, and what a post sends out.
INVOCATION_LOG, POST_LOG, LAMBDA_LOG, POST_OUT = 440, 560, 850, 3000


@dataclass
class Meter:
    """Counts what the functions' clients are charged for."""

    use: Use = field(default_factory=Use)

    def watch(self, client: Any) -> None:
        """Count the client's calls from now on."""
        client.meta.events.register("provide-client-params.dynamodb", _ask_for_capacity)
        client.meta.events.register("after-call", self._after)

    def _after(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        if model.service_model.service_name == "sqs":
            self.use["SQS requests"] += 1
        is_read = model.name in ("GetItem", "BatchGetItem", "Query", "Scan")
        consumed = parsed.get("ConsumedCapacity", [])
        for one in consumed if isinstance(consumed, list) else [consumed]:
            # DynamoDB charges half a unit for a query that finds nothing, for which DynamoDB Local reports none.
            units = one["CapacityUnits"] or (0.5 if model.name == "Query" else 0)
            self.use["read units" if is_read else "write units"] += units

    @contextmanager
    def measured(self, per: float = 1) -> Iterator[Use]:
        """Yield the use, which is there at the end: that of each of so many."""
        before, use = Use(self.use), Use()
        yield use
        use.update({name: (amount - before[name]) / per for name, amount in self.use.items() if amount != before[name]})


def _ask_for_capacity(params: Mapping[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "ReturnConsumedCapacity": "TOTAL"}


class MeteredWorld(World):
    """A world whose invocations are counted, with the requests of their queues, their time and their log."""

    def __init__(self, aws: Aws, receiver: Receiver) -> None:
        super().__init__(aws, receiver, environment=EMAILS)
        self.meter, self.repeated = Meter(), 0
        for client in (aws.dynamodb(), aws.sqs(), aws.sesv2()):
            self.meter.watch(client)

    def invoke(self, function: str, call: Callable[[datetime], Any]) -> Any:
        use, posts = self.meter.use, len(self.received)
        answer = super().invoke(function, call)
        posts = len(self.received) - posts
        use["invocations"] += 1
        use["log bytes"] += INVOCATION_LOG + LAMBDA_LOG + posts * POST_LOG
        use["bytes out"] += posts * POST_OUT
        if function == "missed_backups":
            use["GB-seconds"] += TICK_GB * TICK_SECONDS
            use["scheduled calls"] += 1
        return answer

    def _handle(self, function: str, messages: Sequence[QueuedMessage], deadline: datetime) -> Sequence[str]:
        kinds = Counter(json.loads(message.body).get("type", "") for message in messages)
        gb_seconds = REPORT_GB * REPORT_SECONDS if function == "daily_report" else GB * OTHER_SECONDS
        if function == "notifier":
            starts, heartbeats = kinds.pop("BackupStarted", 0), kinds.pop("Heartbeat", 0)
            seconds = starts * START_SECONDS + heartbeats * HEARTBEAT_SECONDS + kinds.total() * RESULT_SECONDS
            seconds += BATCH_SECONDS if kinds.total() else START_BATCH_SECONDS if starts else 0
            gb_seconds = GB * seconds
        self.meter.use["GB-seconds"] += gb_seconds
        # The batch is received and deleted.
        self.meter.use["SQS requests"] += 2
        return super()._handle(function, messages, deadline)


class Installation:
    """Accounts of three servers that have had a month of nights, each with a target for each kind of result.

    One more account has many servers.
    """

    def __init__(self, aws: Aws, receiver: Receiver) -> None:
        self.world = MeteredWorld(aws, receiver)
        self.meter = self.world.meter
        self.policies = ServerPoliciesStore(aws.dynamodb(), "ServerPoliciesTable")
        self.servers = [Server(f"ACCOUNT{number // 3:02}", number) for number in range(SERVERS)]
        self.large = [Server("LARGE", number) for number in range(LARGE)]
        for account in sorted({server.account for server in self.servers}):
            for event in (EventType.SUCCESS, EventType.FAILURE, EventType.MISSING):
                delivery = DeliveryMode.RETRY if event is EventType.FAILURE else DeliveryMode.ONCE
                self.world.set_target(Target(account, [event], f"{receiver.url}/{event}", delivery=delivery))
        backups = BackupsStore(aws.dynamodb(), "BackupsTable")
        for server in (*self.servers, *self.large):
            tracked = TrackedPolicy(server.account, server.policy_id).after(server.changed())
            for night in range(-NIGHTS, 0):
                ended = server.end(night)
                tracked = tracked.after(server.start(night)).after(ended)
                if night >= -REPORTED_NIGHTS:
                    backups.keep(Backup.of(ended, ended.backup_finished_date))
            # The large account is only looked at: no more backups of it are expected.
            self.policies.save(tracked.watching(server in self.servers, BEGIN))

    def say(self, messages: Iterable[Message], batch: int, apart: timedelta = timedelta(seconds=31)) -> Use:
        """Let the notifier handle the messages in batches of that size. Return the use for each message.

        `apart`: the time from a batch to the next. By default the targets are read again, as in thin traffic.
        """
        messages = list(messages)
        with self.meter.measured(per=len(messages)) as use:
            for some in batched(messages, batch, strict=False):
                for message in some:
                    self.world.say(message)
                # Retries wait longer.
                self.world.settle(within=timedelta(seconds=1))
                self.world.now += apart
        return use.plus(Use({"SQS requests": 1}))

    def night(self) -> dict[str, Use]:
        """Return the use of each unit of work."""
        world, servers, units = self.world, self.servers, dict[str, Use]()
        for night, batch in enumerate(BATCHES):
            world.now = server_time(night) + HOUR
            units[f"start, in batches of {batch}"] = self.say((server.start(night) for server in servers), batch)
            units[f"result, in batches of {batch}"] = self.say((server.end(night) for server in servers), batch)
        night = len(BATCHES)
        world.now, world.answer = server_time(night) + HOUR, lambda path: 503
        self.say((server.start(night) for server in servers), 10)
        failed = (server.end(night, BackupStatus.FAILED) for server in servers)
        units["failure, first attempt of a target with retries"] = self.say(failed, 10, apart=timedelta())
        world.answer = lambda path: 200
        with self.meter.measured(per=SERVERS) as units["retry, delivered"]:
            world.settle(within=HOUR)
        return units | self._ticks(server_time(night + 1)) | self._reports() | self._views()

    def _ticks(self, expected_at: datetime) -> dict[str, Use]:
        world = self.world
        world.tick_at = world.now = expected_at - 2 * HOUR
        world.run(until=expected_at - HOUR)
        with self.meter.measured(per=60) as minute:
            world.run(until=expected_at)
        with self.meter.measured() as missed:
            world.run(until=expected_at + 2 * HOUR)
        world.tick_at = None
        miss = missed.plus(minute.times(-120)).times(1 / SERVERS)
        return {"minute with nothing due": minute, "miss, found and posted": miss}

    def _reports(self) -> dict[str, Use]:
        world = self.world

        def tick() -> None:
            world.now += timedelta(minutes=5)
            WatermarkStore(world.aws.dynamodb(), "ServerPoliciesTable").save_tick(
                Watermark(seen=(SeenHeartbeat(world.now, world.now),))
            )
            with self.meter.measured() as use:
                world.invoke("daily_report", lambda deadline: world.functions.due_reports.tick(world.now, deadline))
                world.settle(within=timedelta(seconds=1))
            used.append(use.plus(Use({"GB-seconds": GB * REPORT_TICK_SECONDS, "scheduled calls": 1})))

        used: list[Use] = []
        tick()
        (idle,) = used
        reports = []
        for account in (self.servers[0].account, "LARGE"):
            settings = ReportSettings(
                [Recipient(f"{name}@{account}.example".lower()) for name in ("ops", "boss")], 7, "UTC"
            )
            ReportSettingsStore(world.aws.dynamodb(), "WebhooksTable", lambda: world.now).save(account, settings)
            world.aws.mailbox.mails.clear()
            used.clear()
            while not (mails := world.aws.mailbox.mails):
                tick()
            attached = sum(len(content) for mail in mails for content in mail.attachments.values())
            sent = Use({"e-mails": len(mails), "attached bytes": attached})
            reports.append(sent.plus(*used, idle.times(-len(used))))
        each = Use({"GB-seconds": REPORT_GB * REPORTED_SERVER_SECONDS})
        small, large = (use.plus(each.times(count)) for use, count in zip(reports, (1, LARGE), strict=True))
        return {"report's tick": idle} | _line("report", small, large)

    def _views(self) -> dict[str, Use]:
        world = self.world

        def view(account: str) -> Use:
            api = world.functions.api
            with self.meter.measured() as use:
                api.targets.load(account)
                api.deliveries.page(account, since=world.now - 30 * DAY, until=world.now, limit=50)
                api.server_policies.page(account, limit=50)
                list(api.server_policies.daily_counts_of_account(account))
            return use.plus(Use({"API requests": 4, "invocations": 4, "GB-seconds": 4 * GB * VIEW_SECONDS}))

        return _line("view of the page", view(self.servers[0].account), view("LARGE"))


def _line(name: str, small: Use, large: Use) -> dict[str, Use]:
    """Return the use for an account, and for each server in it."""
    each = large.plus(small.times(-1)).times(1 / (LARGE - 1))
    return {name: small.plus(each.times(-1)), f"{name}, for each server": each}


def server_time(night: int) -> datetime:
    """Return the scheduled start in that night: one o'clock in New York. Night 0 is the world's first."""
    return BEGIN + night * DAY


@dataclass(frozen=True)
class Server:
    """A server with ordinary names, which is backed up each night."""

    account: str
    number: int

    @property
    def policy_id(self) -> str:
        return f"b2b8ad1a-5d02-4f5b-9c3c-3d5f8d1{self.number:05}"

    def changed(self) -> ServerPolicyChanged:
        return ServerPolicyChanged(
            **self._ids,
            name="Nightly",
            clc_account_alias=self.account,
            account_policy_status="ACTIVE",
            server_policy_status="ACTIVE",
            changed_date=Timestamp.of(server_time(-NIGHTS) - HOUR),
            backup_schedule="0 0 1 * * ?",
            timezone="America/New_York",
        )

    def start(self, night: int) -> BackupStarted:
        return BackupStarted(**self._backup, backup_started_date=self._at(night, 6.476))

    def end(self, night: int, status: BackupStatus = BackupStatus.SUCCESS) -> BackupFinished:
        return BackupFinished(
            **self._backup,
            backup_started_date=self._at(night, 6.476),
            backup_finished_date=self._at(night, 1943.017),
            restore_point_id=f"2d8f2b2c-{night + NIGHTS:04}-4000-8000-3d5f8d1{self.number:05}",
            restore_point_creation_status=status,
            files_transferred_to_storage=48_213,
            bytes_transferred_to_storage=13_958_643_712,
        )

    def _at(self, night: int, seconds: float) -> Timestamp:
        return Timestamp.of(server_time(night) + timedelta(seconds=seconds))

    @property
    def _ids(self) -> dict[str, str]:
        return {
            "server_id": f"VA1{self.account[:4]}WEB{self.number:05}",
            "server_policy_id": self.policy_id,
            "account_policy_id": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
            "storage_region": "US WEST",
        }

    @property
    def _backup(self) -> dict[str, str]:
        return self._ids | {"account_alias": self.account, "account_policy_name": "Nightly"}
