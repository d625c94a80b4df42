"""What `make run` shows: a demo account with a target for each event, sample backups, and what its receiver got."""

from __future__ import annotations

import json
import random
import secrets
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from backup_webhooks.events.messages import EventType
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.target import DeliveryMode, Target

from local import messages
from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.clock import LocalClock
from local.mailbox import Mail, Mailbox
from local.page import page_running
from local.poller import Poller
from local.receiver import Post, Receiver
from local.scheduler import RateScheduler
from local.servers import ACCOUNT, DemoServer, demo_servers
from local.sign_in import SignIn
from local.stack import AWS_PORT, STACK_FILE, Stack, embedded, published, require_free
from local.template import Template, translate
from local.webhooks import configurations_store
from local.worker import Worker

PAGE_PORT, RECEIVER_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT = 8000, 8001, 8003, 8004, 8005
MAIL = STACK_FILE.parent / "mail"
FLAKY_PATH, FLAKY_FAILURES = "/fails-twice", 2
_WORKERS_A_QUEUE = 2
_BUSY_QUEUES = ("BackupEventsQueue", "RetryQueue")
_SAMPLES_WITHIN_SECONDS = 60
# What the reports of today look back on.
_REPORTED = timedelta(days=9)
_PAUSE_SECONDS = 1.0


@dataclass
class Watch:
    """The demo's receiver: tells of each post as it comes, and how long after its message was sent.

    At FLAKY_PATH it answers the first posts with 503, as an endpoint that is down for a while would.
    """

    sent: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    flaky_posts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, body: str) -> str:
        """Note the time at which a message is sent; answers with what its post will be known by."""
        message = json.loads(body)
        mark = str(message.get("restorePointId") or message["serverPolicyId"])
        with self._lock:
            self.sent[mark] = time.time()
        return mark

    def on_post(self, post: Post) -> int:
        """Print the post; the status to answer with."""
        with self._lock:
            text = _told(post)
            if post.path == FLAKY_PATH:
                self.flaky_posts += 1
                status = 503 if self.flaky_posts <= FLAKY_FAILURES else 200
                print(f"  {status:>8}  POST {post.path:<24} {text}", flush=True)
                return status
            mark = next((mark for mark in self.sent if mark in text), None)
            latency = ""
            if mark is not None:
                self.arrived.add(mark)
                self.latencies.append(post.received_at - self.sent.pop(mark))
                latency = f"{self.latencies[-1] * 1000:5.0f} ms"
            print(f"  {latency:>8}  POST {post.path:<24} {text}", flush=True)
            return 200

    @property
    def recovered(self) -> bool:
        """Whether the endpoint that fails at first has got its message."""
        return self.flaky_posts > FLAKY_FAILURES


def _told(post: Post) -> str:
    """The sentence that most formats have; of the others the whole body."""
    text = json.loads(post.body).get("text")
    return text if isinstance(text, str) else post.body.decode()


def run(once: bool, host: str, speed: float) -> int:
    """Run the main job on an address of this machine; the exit status.

    `once` ends after the samples; `speed` is how many times faster than the world's the schedules' clock runs.
    """
    clock = LocalClock(speed)
    started = time.monotonic()
    print("Starting: SAM translation, embedded AWS, functions …", flush=True)
    template = translate()
    watch = Watch()
    # A run that ends by itself must not stand in the way of one that stays.
    page_port, receiver_port, aws_port, sign_in_port, mail_port, backup_port = (
        [0] * 6 if once else [PAGE_PORT, RECEIVER_PORT, AWS_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT]
    )
    for port in (page_port, receiver_port, sign_in_port, mail_port, backup_port):
        require_free(host, port)
    with (
        SignIn(host, sign_in_port) as sign_in,
        Mailbox(host=host, port=mail_port, folder=MAIL, on_mail=print_mail) as mailbox,
        AwsBackup(host=host, port=backup_port) as backup,
        embedded(template, host, aws_port, sign_in.url, mailbox.url, backup=backup.url) as stack,
        Receiver(watch.on_post, host, receiver_port) as receiver,
        functions_running(template, stack, clock),
        page_running(template, stack, sign_in.url, host, page_port) as page,
    ):
        set_targets(stack, receiver)
        set_recipients(stack)
        map_account(stack, ACCOUNT)
        servers = set_servers(stack, clock)
        print(f"Ready after {time.monotonic() - started:.1f} s.")
        print(f"The page: {page.url}  receiver: {receiver.url}  AWS: {stack.endpoint}")
        print(f"Logs: {STACK_FILE.parent}/*.log  e-mail: {MAIL}/*.eml", flush=True)
        ok = feed_samples(stack, watch)
        if once:
            return 0 if ok else 1
        with published(stack):
            simulate(stack, watch, clock, servers)
    return 0


@contextmanager
def functions_running(
    template: Template, stack: Stack, clock: LocalClock, workers_a_queue: int = _WORKERS_A_QUEUE
) -> Iterator[None]:
    """Run each function that has a queue or a schedule, in workers of its own."""
    workers: dict[str, list[Worker]] = defaultdict(list)
    drivers: list[Poller | RateScheduler] = []
    functions = stack.functions()

    def worker(name: str) -> Worker:
        log = STACK_FILE.parent / f"{name}.log"
        workers[name].append(Worker(functions[name], template.sources[name], stack, log))
        return workers[name][-1]

    # What the stack's parameters leave out is not there to be invoked.
    for source in (one for one in template.queue_sources if one.function in functions):
        url = stack.client("sqs").get_queue_url(QueueName=source.queue)["QueueUrl"]
        # What sends e-mail may wait, and each process takes its time to start.
        for _ in range(workers_a_queue if source.queue in _BUSY_QUEUES else 1):
            drivers.append(Poller(stack, url, source, worker(source.function)))
    for schedule in (one for one in template.schedules if one.function in functions):
        of_function = workers.get(schedule.function) or [worker(schedule.function)]
        drivers.append(RateScheduler(schedule, of_function[0], clock))
    for driver in drivers:
        driver.start()
    try:
        yield
    finally:
        for driver in drivers:
            driver.stop()
        for of_function in workers.values():
            for one in of_function:
                one.close()


def print_mail(mail: Mail) -> None:
    """Tell of an e-mail as it comes."""
    print(f"            MAIL {mail.to:<24} {mail.subject}", flush=True)


def set_targets(stack: Stack, receiver: Receiver) -> None:
    """A target for each event of the demo account, and one with retries, all at the demo receiver."""
    store = configurations_store(stack)
    for event in EventType:
        store.save(Target(ACCOUNT, event, f"{receiver.url}/{event}"))
    store.save(Target(ACCOUNT, EventType.FAILURE, f"{receiver.url}{FLAKY_PATH}", delivery=DeliveryMode.RETRY))


def set_servers(stack: Stack, clock: LocalClock) -> list[DemoServer]:
    """The demo's servers, with a month of backups behind them."""
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    policies = ServerPoliciesStore(dynamodb, outputs["ServerPoliciesTableName"])
    kept = BackupsStore(dynamodb, outputs["BackupsTableName"])
    servers, chance, now = demo_servers(), random.Random(30), clock()  # noqa: S311 - invents a demo
    for server in servers:
        known, backups = server.past_month(now, chance)
        policies.save(known)
        for backup in backups:
            if backup.occurred_at >= now - _REPORTED:
                kept.keep(backup)
    return servers


def set_recipients(stack: Stack) -> None:
    """Somebody who gets the demo account's daily report, and is told at once of what fails or is missed."""
    settings = ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    settings.save(ACCOUNT, ReportSettings([Recipient("ops@example.com", on_failure=True, on_missing=True)]))


def feed_samples(stack: Stack, watch: Watch) -> bool:
    """Send the samples and wait for their posts; whether each of them arrived."""
    print(f"Samples, one a webhook event; {FLAKY_PATH} answers 503 twice, and its delivery is retried", flush=True)
    print("(the times include the functions' cold start):", flush=True)
    expected = set()
    for body in messages.samples():
        expected.add(watch.expect(body))
        messages.send(stack, body)
    end = time.monotonic() + _SAMPLES_WITHIN_SECONDS
    while not (expected <= watch.arrived and watch.recovered) and time.monotonic() < end:
        time.sleep(0.05)
    arrived = len(expected & watch.arrived)
    print(f"{arrived} of {len(expected)} samples arrived", end="", flush=True)
    print(", and the retried one." if watch.recovered else "; the retried one did not.", flush=True)
    ok = arrived == len(expected) and watch.recovered
    if not ok:
        print(f"Not all arrived within {_SAMPLES_WITHIN_SECONDS} s: see {STACK_FILE.parent}/*.log", file=sys.stderr)
    return ok


def simulate(stack: Stack, watch: Watch, clock: LocalClock, servers: list[DemoServer]) -> None:
    """Let the demo's servers back up until Ctrl-C, then sum up."""
    print("Simulating backups until Ctrl-C. In another terminal: .venv/bin/python -m local send events/…", flush=True)
    if clock.speed > 1:
        print(f"The clock runs {clock.speed:g} times as fast: a missed backup shows within seconds of its hour.")
    watch.latencies.clear()
    chance = random.Random(secrets.randbits(32))  # noqa: S311 - invents a demo
    try:
        while True:
            time.sleep(_PAUSE_SECONDS)
            now = clock()
            said = [message for server in servers for message in server.backups_until(now, chance)]
            if clock.speed == 1:
                # Nobody waits for the night: a manual run, beside the schedule.
                said += chance.choice(servers).backup(now - timedelta(minutes=chance.randint(1, 50)), now, chance)
            for message in said:
                body = json.dumps(message)
                if message["type"] == "BackupFinished":
                    watch.expect(body)
                messages.send(stack, body)
    except KeyboardInterrupt:
        pass
    if watch.latencies:
        median = statistics.median(watch.latencies) * 1000
        print(
            f"\n{len(watch.latencies)} posts since the samples, {median:.0f} ms from queue to receiver at the median."
        )
