"""The most memory that each function's process has had, on a full batch or the most that it is commonly asked.

The floor is a process that imports boto3 and makes the same clients. Not a goal but a measure to choose `MemorySize`
by, which stands in the note: Lambda's own agents come on top, and CPU comes with memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Any

from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, encode_retry_message
from backup_webhooks.events.messages import BackupFinished, EventType, parse_message
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds, utc_now
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.target import Target

from benchmarks.figures import Figure
from benchmarks.support import answering, bare, function_process, peak_mib
from local.http_api import request_event
from local.mailbox import Mailbox
from local.stack import Function, Stack, embedded
from local.targets import save_target
from local.template import PROJECT, HttpRoute, Template, translate
from local.webhooks import targets_store
from tests.support.messages import finished, sqs_event
from tests.support.policies import LONG_AGO, changed

ACCOUNT = "BENCH"
TARGETS, BATCH, NOTICES = 5, 10, 200
DUE, BACKUPS = 300, 2000
QUICK_DUE, QUICK_BACKUPS = 60, 200
ENDPOINT_MILLISECONDS = 200
# A report, and one e-mail for all notices of a batch.
SENT = 2
API = HttpRoute("ANY /v2/{proxy+}", "WebhooksApiFunction", authorized=True)
PAGE = HttpRoute("$default", "WebhooksApiFunction", authorized=False)
CLIENTS = {
    "NotifierFunction": ("dynamodb", "sqs"),
    "RedelivererFunction": ("dynamodb", "sqs"),
    "MissedBackupsFunction": ("dynamodb", "sqs"),
    "WebhooksApiFunction": ("dynamodb", "sqs"),
    "DailyReportFunction": ("dynamodb", "sqs", "sesv2"),
    "EmailNoticesFunction": ("dynamodb", "sesv2"),
}
# What is judged at, and the end of the day that is reported.
TICK, END = Timestamp.parse("2018-12-21T18:13:00Z"), Timestamp.parse("2026-11-24T07:00:00Z")


def backup(**changes: str) -> BackupFinished:
    """A backup of the account, failed where nothing else is said."""
    message = parse_message(finished(ACCOUNT, **changes))
    assert isinstance(message, BackupFinished)
    return message


@dataclass(frozen=True)
class Invocations:
    """What a function is given in a row, and that in words."""

    events: Sequence[Any]
    words: str


@dataclass(frozen=True)
class World:
    """The account with all that it has, and what its functions are asked."""

    stack: Stack
    url: str
    due: int
    backups: int

    def notifier(self) -> Invocations:
        """Ten failed backups for five targets each."""
        return Invocations(
            [sqs_event(*[finished(ACCOUNT) for _ in range(BATCH)])], f"{BATCH} messages, {TARGETS} targets each"
        )

    def redeliverer(self) -> Invocations:
        """Ten replays at once."""
        deliveries = [Delivery.of(backup(), self.targets[0]) for _ in range(BATCH)]
        orders = [encode_retry_message(AttemptDue.first(delivery, utc_now())) for delivery in deliveries]
        return Invocations([sqs_event(*orders)], f"{BATCH} messages")

    def missed_backups(self) -> Invocations:
        """A tick at which many are due."""
        dynamodb, table = self.stack.client("dynamodb"), self.stack.outputs["ServerPoliciesTableName"]
        policies = ServerPoliciesStore(dynamodb, table)
        _at_once(
            policies.save,
            (
                TrackedPolicy("TEST", f"policy-{number}").after(
                    changed("12-20 09:00", server_policy_id=f"policy-{number}")
                )
                for number in range(self.due)
            ),
        )
        minute = timedelta(minutes=1)
        vouches = SeenHeartbeat(TICK - 8 * minute, TICK - 7 * minute)
        WatermarkStore(dynamodb, table).save_tick(Watermark(seen=(vouches,), ran_at=TICK - minute, resumed_at=LONG_AGO))
        return Invocations([{"time": iso_milliseconds(TICK)}], f"{self.due} missed at once")

    def webhooks_api(self) -> Invocations:
        """The page, and what it shows."""
        claims = {"account_alias": ACCOUNT, "sub": "somebody"}
        paths = ("", "/deliveries?limit=100", "/serverPolicies", "/dailyResults", "/reportRecipients")
        asked = [request_event(API, "GET", f"/v2/webhooks/{ACCOUNT}{path}", {}, b"", claims) for path in paths]
        assets = [request_event(PAGE, "GET", path, {}, b"", None) for path in ("/", "/page/app.js")]
        return Invocations([*assets, *asked], "page, webhooks, deliveries, servers, days, recipients")

    def daily_report(self) -> Invocations:
        """The report of a day's backups."""
        client, outputs = self.stack.client("dynamodb"), self.stack.outputs
        recipients = ReportSettings([Recipient("ops@example.com", on_failure=True, on_missing=True)])
        ReportSettingsStore(client, outputs["WebhooksTableName"], lambda: END - timedelta(hours=12)).save(
            ACCOUNT, recipients
        )
        _at_once(BackupsStore(client, outputs["BackupsTableName"]).keep, map(self._ended, range(self.backups)))
        message = json.dumps({"account": ACCOUNT, "at": iso_milliseconds(END + timedelta(minutes=5))})
        return Invocations([sqs_event(message)], f"{self.backups} backups of a day")

    def _ended(self, number: int) -> Backup:
        ended = Timestamp.of(END - timedelta(days=1 - number / self.backups))
        status = "SUCCESS" if number % 50 else "FAILED"
        ids = {"serverId": f"IL1SERVER{number:05}", "serverPolicyId": f"sp-{number}"}
        return Backup.of(
            backup(backupFinishedDate=iso_milliseconds(ended), restorePointCreationStatus=status, **ids), ended
        )

    def email_notices(self) -> Invocations:
        """As many notices as a batch brings."""
        return Invocations([sqs_event(*[finished(ACCOUNT) for _ in range(NOTICES)])], f"{NOTICES} messages")

    @property
    def targets(self) -> list[Target]:
        return [Target(ACCOUNT, [EventType.FAILURE], f"{self.url}/{number}") for number in range(TARGETS)]


def _at_once[T](call: Callable[[T], object], of: Iterable[T]) -> None:
    with ThreadPoolExecutor(8) as threads:
        for some in batched(of, 100, strict=False):
            list(threads.map(call, some))


def measure(quick: bool) -> Iterable[Figure]:
    """A figure a function."""
    template = translate()
    with (
        Mailbox() as mailbox,
        embedded(template, ses=mailbox.url) as stack,
        answering(ENDPOINT_MILLISECONDS) as url,
        ThreadPoolExecutor(2) as at_once,
    ):
        world = World(stack, url, *((QUICK_DUE, QUICK_BACKUPS) if quick else (DUE, BACKUPS)))
        for target in world.targets:
            save_target(targets_store(stack), target)
        functions = stack.functions()
        floors = {
            clients: at_once.submit(_peak_of_clients, stack, functions["NotifierFunction"], clients)
            for clients in dict.fromkeys(CLIENTS.values())
        }
        invocations = {
            "NotifierFunction": world.notifier,
            "RedelivererFunction": world.redeliverer,
            "MissedBackupsFunction": world.missed_backups,
            "WebhooksApiFunction": world.webhooks_api,
            "DailyReportFunction": world.daily_report,
            "EmailNoticesFunction": world.email_notices,
        }
        peaks = {
            name: at_once.submit(_peak, template, stack, functions[name], asked) for name, asked in invocations.items()
        }
        for name, measured in peaks.items():
            (peak, words), floor = measured.result(), floors[CLIENTS[name]].result()
            yield Figure(
                f"memory-{template.sources[name].name}",
                peak,
                "MiB at most",
                floor,
                peak / floor,
                note=f"{words}; MemorySize {functions[name].memory}, {peak / functions[name].memory:.0%} of it",
            )
        if len(mailbox.mails) != SENT:
            raise RuntimeError(f"{SENT} e-mails were to be sent, not {len(mailbox.mails)}")


def _peak(template: Template, stack: Stack, function: Function, asked: Callable[[], Invocations]) -> tuple[float, str]:
    invocations = asked()
    with function_process(stack, function, template.sources[function.name]) as worker:
        for event in invocations.events:
            answer = worker.invoke(event)
            if answer.get("batchItemFailures") or answer.get("statusCode", 200) >= 400:  # noqa: PLR2004
                raise RuntimeError(f"{function.name} failed: {answer}")
        return peak_mib(worker.process.pid), invocations.words


def _peak_of_clients(stack: Stack, like: Function, clients: Sequence[str]) -> float:
    with function_process(stack, bare(like, "clients_alone"), PROJECT) as worker:
        worker.invoke({"services": clients})
        return peak_mib(worker.process.pid)
