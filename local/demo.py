"""The demo of `make run`: an account with a target for each event type, sample backups, and a receiver that prints."""

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
from itertools import chain

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
from local.targets import save_target
from local.template import Template, translate
from local.webhooks import targets_store
from local.worker import Worker

PAGE_PORT, RECEIVER_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT = 8000, 8001, 8003, 8004, 8005
MAIL = STACK_FILE.parent / "mail"
FLAKY_PATH, FLAKY_FAILURES = "/fails-twice", 2
_WORKERS_A_QUEUE = 2
_BUSY_QUEUES = ("BackupEventsQueue", "RetryQueue")
_SAMPLES_WITHIN_SECONDS = 60
# The backups that today's reports may show.
_REPORTED = timedelta(days=9)
_PAUSE_SECONDS = 1.0


@dataclass
class Arrivals:
    """The posts that the demo's receiver gets. It prints each with the time since its message was sent.

    At FLAKY_PATH it answers the first posts with 503, like an endpoint that is down for a while.
    """

    sent: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    flaky_posts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, body: str) -> str:
        """Note the time at which a message is sent. Return the id by which its post is recognised."""
        message = json.loads(body)
        subject_id = str(message.get("restorePointId") or message["serverPolicyId"])
        with self._lock:
            self.sent[subject_id] = time.time()
        return subject_id

    def on_post(self, post: Post) -> int:
        """Print the post. Return the status to answer with."""
        with self._lock:
            text = _text(post)
            if post.path == FLAKY_PATH:
                self.flaky_posts += 1
                status = 503 if self.flaky_posts <= FLAKY_FAILURES else 200
                print(f"  {status:>8}  POST {post.path:<24} {text}", flush=True)
                return status
            subject_id = next((subject_id for subject_id in self.sent if subject_id in text), None)
            latency = ""
            if subject_id is not None:
                self.arrived.add(subject_id)
                self.latencies.append(post.received_at - self.sent.pop(subject_id))
                latency = f"{self.latencies[-1] * 1000:5.0f} ms"
            print(f"  {latency:>8}  POST {post.path:<24} {text}", flush=True)
            return 200

    @property
    def recovered(self) -> bool:
        """Whether the endpoint that fails at first has accepted its post."""
        return self.flaky_posts > FLAKY_FAILURES


def _text(post: Post) -> str:
    """Return the text that most formats have, or else the whole body."""
    text = json.loads(post.body).get("text")
    return text if isinstance(text, str) else post.body.decode()


def run(once: bool, host: str, speed: float) -> int:
    """Run the service on an address of this machine. Return the exit status.

    `once`: end after the samples. `speed`: how many times as fast as real time the schedules' clock runs.
    """
    clock = LocalClock(speed)
    started = time.monotonic()
    print("Starting: SAM translation, embedded AWS, functions …", flush=True)
    template = translate()
    arrivals = Arrivals()
    # A run that ends by itself takes free ports, so that another run may use the usual ones.
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
        Receiver(arrivals.on_post, host, receiver_port) as receiver,
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
        ok = feed_samples(stack, arrivals)
        if once:
            return 0 if ok else 1
        with published(stack):
            simulate(stack, arrivals, clock, servers)
    return 0


@contextmanager
def functions_running(
    template: Template, stack: Stack, clock: LocalClock, workers_a_queue: int = _WORKERS_A_QUEUE
) -> Iterator[None]:
    """Run each function that has a queue or a schedule in its own workers."""
    workers: dict[str, list[Worker]] = defaultdict(list)
    drivers: list[Poller | RateScheduler] = []
    functions = stack.functions()

    def start_worker(name: str) -> Worker:
        log = STACK_FILE.parent / f"{name}.log"
        workers[name].append(Worker(functions[name], template.sources[name], stack, log))
        return workers[name][-1]

    # The stack's parameters may leave out a function.
    for source in (source for source in template.queue_sources if source.function in functions):
        url = stack.client("sqs").get_queue_url(QueueName=source.queue)["QueueUrl"]
        # One worker is enough for e-mail, and each process takes time to start.
        for _ in range(workers_a_queue if source.queue in _BUSY_QUEUES else 1):
            drivers.append(Poller(stack, url, source, start_worker(source.function)))
    for schedule in (schedule for schedule in template.schedules if schedule.function in functions):
        of_function = workers.get(schedule.function) or [start_worker(schedule.function)]
        drivers.append(RateScheduler(schedule, of_function[0], clock))
    for driver in drivers:
        driver.start()
    try:
        yield
    finally:
        for driver in drivers:
            driver.stop()
        for worker in chain.from_iterable(workers.values()):
            worker.close()


def print_mail(mail: Mail) -> None:
    """Print an e-mail as it comes."""
    print(f"            MAIL {mail.to:<24} {mail.subject}", flush=True)


def set_targets(stack: Stack, receiver: Receiver) -> None:
    """Set a target for each event type of the demo account, and one with retries, all at the demo's receiver."""
    store = targets_store(stack)
    for event in EventType:
        save_target(store, Target(ACCOUNT, event, f"{receiver.url}/{event}"))
    save_target(store, Target(ACCOUNT, EventType.FAILURE, f"{receiver.url}{FLAKY_PATH}", delivery=DeliveryMode.RETRY))


def set_servers(stack: Stack, clock: LocalClock) -> list[DemoServer]:
    """Store the demo's servers with a month of backups, and return them."""
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    policies = ServerPoliciesStore(dynamodb, outputs["ServerPoliciesTableName"])
    history = BackupsStore(dynamodb, outputs["BackupsTableName"])
    servers, rng, now = demo_servers(), random.Random(30), clock()  # noqa: S311 - invents a demo
    for server in servers:
        tracked, backups = server.past_month(now, rng)
        policies.save(tracked)
        for backup in backups:
            if backup.occurred_at >= now - _REPORTED:
                history.keep(backup)
    return servers


def set_recipients(stack: Stack) -> None:
    """Set a recipient for the demo account's daily report, and for its failed and missed backups."""
    settings = ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    settings.save(ACCOUNT, ReportSettings([Recipient("ops@example.com", on_failure=True, on_missing=True)]))


def feed_samples(stack: Stack, arrivals: Arrivals) -> bool:
    """Send the samples and wait for their posts. Return whether each of them arrived."""
    print(f"One sample per event type; {FLAKY_PATH} answers 503 twice, and its delivery is retried", flush=True)
    print("(the times include the functions' cold start):", flush=True)
    expected = set()
    for body in messages.samples():
        expected.add(arrivals.expect(body))
        messages.send(stack, body)
    end = time.monotonic() + _SAMPLES_WITHIN_SECONDS
    while not (expected <= arrivals.arrived and arrivals.recovered) and time.monotonic() < end:
        time.sleep(0.05)
    arrived = len(expected & arrivals.arrived)
    print(f"{arrived} of {len(expected)} samples arrived", end="", flush=True)
    print(", and the retried one." if arrivals.recovered else "; the retried one did not.", flush=True)
    ok = arrived == len(expected) and arrivals.recovered
    if not ok:
        print(f"Not all arrived within {_SAMPLES_WITHIN_SECONDS} s: see {STACK_FILE.parent}/*.log", file=sys.stderr)
    return ok


def simulate(stack: Stack, arrivals: Arrivals, clock: LocalClock, servers: list[DemoServer]) -> None:
    """Send messages of the demo servers' backups until Ctrl-C, then print the median latency."""
    print("Simulating backups until Ctrl-C. In another terminal: .venv/bin/python -m local send events/…", flush=True)
    if clock.speed > 1:
        print(f"The clock runs {clock.speed:g} times as fast: a missed backup shows within seconds of its hour.")
    arrivals.latencies.clear()
    rng = random.Random(secrets.randbits(32))  # noqa: S311 - invents a demo
    try:
        while True:
            time.sleep(_PAUSE_SECONDS)
            now = clock()
            due = [message for server in servers for message in server.backups_until(now, rng)]
            if clock.speed == 1:
                # A manual run beside the schedule, so that there is a backup before the night.
                due += rng.choice(servers).backup(now - timedelta(minutes=rng.randint(1, 50)), now, rng)
            for message in due:
                body = json.dumps(message)
                if message["type"] == "BackupFinished":
                    arrivals.expect(body)
                messages.send(stack, body)
    except KeyboardInterrupt:
        pass
    if arrivals.latencies:
        median = statistics.median(arrivals.latencies) * 1000
        posts = f"{len(arrivals.latencies)} posts since the samples"
        print(f"\n{posts}, {median:.0f} ms from queue to receiver at the median.")
