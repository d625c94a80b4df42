"""The demo of `make run`: an account with a target for each event type, sample backups, and a receiver that prints."""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta

from backup_webhooks.events.messages import EventType
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.target import DeliveryMode, Target

from local import messages
from local.arrivals import FLAKY_PATH, Arrivals
from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.clock import LocalClock
from local.ending import at_signal
from local.functions import functions_running
from local.mailbox import Mail, Mailbox
from local.page import page_running
from local.receiver import Receiver
from local.servers import ACCOUNT, DemoServer, demo_servers
from local.settings import RunSettings
from local.sign_in import SignIn
from local.simulation import simulate
from local.stack import AWS_PORT, PAGE, STACK_FILE, Stack, embedded, published, require_free
from local.targets import sample_target, save_target
from local.template import translate
from local.warm_up import warm_up
from local.webhooks import targets_store
from local.worker import FunctionError, kill_functions

PAGE_PORT, RECEIVER_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT = 8000, 8001, 8003, 8004, 8005
MAIL = STACK_FILE.parent / "mail"
_SAMPLES_WITHIN_SECONDS = 120
# The backups that today's reports may show.
_REPORTED = timedelta(days=9)


def run(settings: RunSettings) -> int:
    """Run the service on this machine until a signal ends the process. Return the exit status if it ends before."""
    clock, arrivals = LocalClock(settings.speed), Arrivals()
    try:
        with at_signal(kill_functions), ExitStack() as running:
            stack = _start(settings, clock, arrivals, running)
            servers = set_servers(stack, clock)
            if not settings.once:
                running.enter_context(published(stack))
            ok = feed_samples(stack, arrivals)
            if settings.once:
                return 0 if ok else 1
            arrivals.latencies.clear()
            with at_signal(lambda: _median(arrivals.latencies)):
                if settings.quiet:
                    print("No backups are simulated (QUIET=1). The stack runs until Ctrl-C.", flush=True)
                    threading.Event().wait()
                simulate(stack, arrivals, clock, servers)
    except FunctionError as error:
        print(error, file=sys.stderr)
        return 1


def _start(settings: RunSettings, clock: LocalClock, arrivals: Arrivals, running: ExitStack) -> Stack:
    """Start all that the service is made of, in the context `running`. Return the stack."""
    began, host = time.monotonic(), settings.listen
    page_port, receiver_port, aws_port, sign_in_port, mail_port, backup_port = ports = _ports(settings)
    for port in ports:
        require_free(host, port)
    print("Starting: SAM translation …", flush=True)
    template = translate()
    print("Starting: embedded AWS …", flush=True)
    sign_in = running.enter_context(SignIn(host, sign_in_port))
    mailbox = running.enter_context(Mailbox(host=host, port=mail_port, folder=MAIL, on_mail=print_mail))
    backup = running.enter_context(AwsBackup(host=host, port=backup_port))
    page_url = f"http://{host}:{page_port}/" if page_port else PAGE
    stack = running.enter_context(
        embedded(template, host, aws_port, sign_in.url, mailbox.url, page_url, backup.url, replace=False)
    )
    receiver = running.enter_context(Receiver(arrivals.on_post, host, receiver_port))
    print("Starting: functions …", flush=True)
    warm_up({worker: [] for worker in running.enter_context(functions_running(template, stack, clock))})
    print("Starting: the page …", flush=True)
    page = running.enter_context(page_running(template, stack, sign_in.url, host, page_port))
    set_targets(stack, receiver)
    set_recipients(stack)
    map_account(stack, ACCOUNT)
    print(f"Ready after {time.monotonic() - began:.1f} s.")
    print(f"The page: {page.url}  receiver: {receiver.url}  AWS: {stack.endpoint}")
    print(f"Logs: {STACK_FILE.parent}/*.log  e-mail: {MAIL}/*.eml", flush=True)
    return stack


def _ports(settings: RunSettings) -> Sequence[int]:
    """Return the ports of the page, the receiver, AWS, the sign-in, e-mail and AWS Backup."""
    usual = [PAGE_PORT, RECEIVER_PORT, AWS_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT]
    if settings.port is not None:
        return [settings.port + port - PAGE_PORT for port in usual]
    # A run that ends by itself takes free ports, so that another run may use the usual ones.
    return [0] * len(usual) if settings.once else usual


def print_mail(mail: Mail) -> None:
    """Print an e-mail as it comes."""
    print(f"            MAIL {mail.to:<24} {mail.subject}", flush=True)


def set_targets(stack: Stack, receiver: Receiver) -> None:
    """Set a target for each event type of the demo account, and one with retries, all at the demo's receiver."""
    store = targets_store(stack)
    for event in EventType:
        save_target(store, sample_target(ACCOUNT, event, f"{receiver.url}/{event}"))
    save_target(store, Target(ACCOUNT, [EventType.FAILURE], f"{receiver.url}{FLAKY_PATH}", delivery=DeliveryMode.RETRY))


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
    print("(the times include each function's first request):", flush=True)
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


def _median(latencies: Sequence[float]) -> str:
    """Return what the last line says of the posts since the samples."""
    if not latencies:
        return ""
    return f"{len(latencies)} posts since the samples, {statistics.median(latencies) * 1000:.0f} ms at the median"
