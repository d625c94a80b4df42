"""Each hostile endpoint against the notifier's own process: the delivery record, the cost, and the other deliveries.

One batch posts to all of them, so that the endpoints that hang cost ten seconds only once.
"""

from __future__ import annotations

import gzip
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from local.stack import Stack
from local.template import Template
from local.worker import Worker
from tests.integration.conftest import Account
from tests.integration.posting.test_sender import CUT, INTERNALS, NO_ANSWER, NOT_HTTP, response
from tests.support.endpoints import (
    OK,
    Behaviour,
    Endless,
    Endpoint,
    answering,
    dripping,
    dripping_and_hanging,
    hanging_after,
    keeping_alive,
    over_tls,
    refusing_port,
    resetting_after,
    serving_with,
)
from tests.support.messages import failed_ids, finished, sqs_event

# The limit is ten seconds; a busy machine may notice its end much later.
LIMIT_MILLISECONDS = 30_000
# Measured: 5 to 6.5 MiB, mostly for the threads of the first full batch. One stored answer of 1 GiB would be 2 GiB.
LIMIT_GROWTH_KIB = 16 * 1024

IN_HEADERS = b"HTTP/1.1 200 OK\r\nserver: "
IN_BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello"

ENDED_EARLY = "answered 200; its body did not end: "

# The function trusts it, so that a bad certificate is refused for its own fault.
AUTHORITY = trustme.CA()

# A header, and the earliest and latest seconds of the retry: not before the stack's schedule (1 s ± 20 %), and not
# after 10 h + 20 %, with some seconds for the attempt.
IN_TWO_HOURS = "a date in two hours, from when the endpoint begins"
RETRY_AFTER = {
    "seconds": ("120", 120, 147),
    "a date": (IN_TWO_HOURS, 6600, 8700),
    "a date long ago": ("Fri, 31 Dec 1999 23:59:59 GMT", 0.8, 4),
    "a date in a far century": ("Fri, 31 Dec 9999 23:59:59 GMT", 36_000, 43_203),
    "junk": ("\xb2 minutes, please", 0.8, 4),
    "less than nothing": ("-1000000", 0.8, 4),
    "5000 digits": ("9" * 5000, 36_000, 43_203),
}


@dataclass(frozen=True)
class Hostile:
    """An endpoint's behaviour (None: it refuses connections), and the expected delivery record."""

    behaviour: Behaviour | None
    status: int | None
    error: str | None = None
    response: str = ""
    tls: bool = False
    delivery: DeliveryMode = DeliveryMode.ONCE

    @property
    def state(self) -> str:
        if self.status in (200, 204, 299):
            return "delivered"
        return "retrying" if self.delivery is DeliveryMode.RETRY else "failed"


def with_bad_certificate(problem: str, certificate: trustme.CA | trustme.LeafCert) -> Hostile:
    """`problem`: in OpenSSL's words."""
    server = serving_with(certificate)
    return Hostile(over_tls(answering(OK), server), None, f"TLS: the certificate is not valid: {problem}", tls=True)


def big() -> dict[str, Hostile]:
    """Return answers that would use up the function's memory if it stored, unpacked or awaited them."""
    gibibyte = Endless(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n", b"x" * 2**20, 2**10)
    # http.client would read to the end of the connection, whatever length it is asked for.
    chunk = Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", b"x" * 2**20, 2**10)
    # 1 GiB in about 1 MiB: gzip members may follow each other.
    bomb = gzip.compress(bytes(2**20), mtime=0) * 2**10
    packed = bomb[:1024].decode(errors="replace")
    headers = b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n"
    return {
        "1 GiB": Hostile(gibibyte, 200, None, "x" * 1024),
        "1 GiB in a chunk of -1": Hostile(chunk, 200, ENDED_EARLY + "the answer is longer than 128 KiB"),
        "a gzip bomb": Hostile(answering(response("200 OK", bomb, "content-encoding: gzip")), 200, None, packed),
        "100,000 header lines": Hostile(answering(headers), None, NOT_HTTP),
        "drips in the body": Hostile(dripping(IN_BODY), 200, ENDED_EARLY + NO_ANSWER),
    }


def retry_after(value: str) -> Hostile:
    """Return an endpoint for a target with retries, because only retries use the header."""
    if value == IN_TWO_HOURS:
        value = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    answer = f"HTTP/1.1 429 Slower\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")
    return Hostile(answering(answer), 429, "answered 429", delivery=DeliveryMode.RETRY)


def hostile_endpoints(elsewhere: str) -> dict[str, Hostile]:
    """Return all endpoints by name. `elsewhere`: the URL that redirects lead to."""
    not_utf_8 = b"HTTP/1.1 200 \xff\xfe\r\nx-\xe9: \xff\xfe\x80\r\ncontent-length: 2\r\n\r\nok"
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = AUTHORITY.issue_cert("localhost", not_before=yesterday - timedelta(days=1), not_after=yesterday)
    mismatch = "Hostname mismatch, certificate is not valid for 'localhost'."
    redirects = {
        f"redirects with {status}": Hostile(
            answering(response(f"{status} Elsewhere", b"", f"location: {elsewhere}")),
            status,
            f"answered {status}: redirects are not followed",
        )
        for status in (301, 302, 307, 308)
    }
    return {
        "refuses the connection": Hostile(None, None, "connection refused"),
        "resets in the headers": Hostile(resetting_after(IN_HEADERS), None, CUT),
        "resets in the body": Hostile(resetting_after(IN_BODY), 200, ENDED_EARLY + CUT),
        "hangs before the headers": Hostile(hanging_after(b""), None, NO_ANSWER),
        "hangs in the headers": Hostile(hanging_after(IN_HEADERS), None, NO_ANSWER),
        "hangs after the headers": Hostile(hanging_after(IN_BODY), 200, ENDED_EARLY + NO_ANSWER),
        "drips in the headers": Hostile(dripping(IN_HEADERS), None, NO_ANSWER),
        "drips and then hangs": Hostile(dripping_and_hanging(IN_HEADERS), None, NO_ANSWER),
        **big(),
        "headers that are not UTF-8": Hostile(answering(not_utf_8), 200, None, "ok"),
        **redirects,
        "204": Hostile(answering(b"HTTP/1.1 204 No Content\r\n\r\n"), 204),
        "299": Hostile(answering(response("299 Whatever", b"ok")), 299, None, "ok"),
        "410": Hostile(answering(response("410 Gone", b"gone")), 410, "answered 410", "gone"),
        **{f"429, to retry after {kind}": retry_after(value) for kind, (value, *_) in RETRY_AFTER.items()},
        "self-signed": with_bad_certificate("self-signed certificate", trustme.CA()),
        "expired": with_bad_certificate("certificate has expired", expired),
        "of another host": with_bad_certificate(mismatch, AUTHORITY.issue_cert("other.example.com")),
        "HTTP/1.0": Hostile(answering(b"HTTP/1.0 200 OK\r\n\r\nhello"), 200, None, "hello"),
        "garbage": Hostile(answering(bytes(range(256)) * 1000), None, NOT_HTTP),
    }


@contextmanager
def running(hostile: Hostile) -> Iterator[str]:
    """Yield the endpoint's URL while it runs."""
    if hostile.behaviour:
        with Endpoint(hostile.behaviour) as endpoint:
            yield f"https://localhost:{endpoint.port}/" if hostile.tls else endpoint.url
    else:
        with refusing_port() as port:
            yield f"http://127.0.0.1:{port}/"


@dataclass(frozen=True)
class Trial:
    """A hostile endpoint, its target's account, whether its message was handled, and the delivery record."""

    hostile: Hostile
    account: Account
    done: bool
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class Process:
    """The function's process at one time. `peak_kib`: its peak memory until then, or 0 if it is unknown."""

    pid: int
    peak_kib: int

    @classmethod
    def of(cls, worker: Worker) -> Process:
        status = Path(f"/proc/{worker.process.pid}/status")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text() if status.exists() else "")
        return cls(worker.process.pid, int(peak[1]) if peak else 0)


def an_account(stack: Stack) -> Account:
    return Account(f"T{uuid.uuid4().hex[:8].upper()}", stack)


@pytest.fixture(scope="module")
def worker(stack: Stack, template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    name, files = "NotifierFunction", tmp_path_factory.mktemp("endpoints")
    authorities = files / "authorities.pem"
    AUTHORITY.cert_pem.write_to_path(str(authorities))
    trusting = {"SSL_CERT_FILE": str(authorities)}
    # On a busy machine, one CPU has two batches of such answers to read for longer than the function's time limit.
    function = replace(stack.functions()[name], timeout=300)
    worker = Worker(function, template.sources[name], stack, files / f"{name}.log", trusting)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def healthy() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Endpoint]:
    with Endpoint(keeping_alive) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def at_first(worker: Worker, stack: Stack, healthy: Receiver) -> Process:
    """Return the process after a first, ordinary delivery."""
    account = an_account(stack)
    account.set_target(EventType.FAILURE, healthy.url)
    worker.invoke(sqs_event(finished(account.alias)))
    assert [entry["state"] for entry in account.deliveries()] == ["delivered"]
    return Process.of(worker)


@pytest.fixture(scope="module")
def again() -> dict[str, list[Account]]:
    """The accounts that meet the big answers once more each, filled by `trials`."""
    return {name: [] for name in big()}


@pytest.fixture(scope="module")
def trials(
    worker: Worker,
    stack: Stack,
    healthy: Receiver,
    elsewhere: Endpoint,
    at_first: Process,
    again: dict[str, list[Account]],
) -> Iterator[Mapping[str, Trial]]:
    """Yield the trial of each endpoint; the endpoints run until the module's tests end.

    The big answers come six times, at once: the memory for one must not add up.
    """
    endpoints = hostile_endpoints(elsewhere.url)
    accounts = {name: an_account(stack) for name in endpoints}
    with ExitStack() as running_endpoints:
        for name, hostile in endpoints.items():
            url = running_endpoints.enter_context(running(hostile))
            accounts[name].set_target(EventType.FAILURE, url, delivery=hostile.delivery)
            accounts[name].set_target(EventType.SUCCESS, f"{healthy.url}/{accounts[name].alias}")
            for _ in range(5 if name in again else 0):
                again[name].append(an_account(stack))
                again[name][-1].set_target(EventType.FAILURE, url)
        others = [account for some in again.values() for account in some]
        answer = worker.invoke(sqs_event(*[finished(account.alias) for account in [*accounts.values(), *others]]))
        undone = [int(failed.removeprefix("message-")) for failed in failed_ids(answer)]
        yield {
            name: Trial(hostile, accounts[name], position not in undone, *accounts[name].deliveries())
            for position, (name, hostile) in enumerate(endpoints.items())
        }


@pytest.fixture(scope="module")
def next_events(worker: Worker, trials: Mapping[str, Trial]) -> None:
    """Send each account an event for its healthy target, after the event for the hostile one."""
    aliases = [trial.account.alias for trial in trials.values()]
    worker.invoke(sqs_event(*[finished(alias, restorePointCreationStatus="SUCCESS") for alias in aliases]))


def test_each_delivery_record_has_the_attempts_result(trials: Mapping[str, Trial]) -> None:
    records = {name: trial.entry for name, trial in trials.items()}

    # `response`: only the endpoint's own bytes, as sent.
    assert {
        name: (record["state"], record["httpStatus"], record["error"], record["response"])
        for name, record in records.items()
    } == {
        name: (hostile.state, hostile.status, hostile.error, hostile.response)
        for name, hostile in ((name, trial.hostile) for name, trial in trials.items())
    }
    assert [name for name, trial in trials.items() if not trial.done] == [], "SQS would deliver the message again"
    too_long = {name for name, record in records.items() if not 0 <= record["milliseconds"] <= LIMIT_MILLISECONDS}
    assert too_long == set()


def test_the_customer_sees_nothing_of_our_network_or_our_code(trials: Mapping[str, Trial]) -> None:
    for name, trial in trials.items():
        (health,) = (
            target.health
            for target in trial.account.targets.load(trial.account.alias).targets
            if EventType.FAILURE in target.event_types
        )
        for text in (trial.entry["error"], health.last_reason, health.switched_off_reason):
            assert not INTERNALS.search(text or ""), name


@pytest.mark.usefixtures("next_events")
def test_each_accounts_next_event_is_delivered(trials: Mapping[str, Trial], healthy: Receiver) -> None:
    paths = [post.path for post in healthy.posts]

    for name, trial in trials.items():
        assert paths.count(f"/{trial.account.alias}") == 1, name
        states = [one["state"] for one in trial.account.deliveries() if one["event"] == "Backup.Success"]
        assert states == ["delivered"], name


@pytest.mark.usefixtures("next_events")
def test_the_process_outlives_them_all(worker: Worker, at_first: Process) -> None:
    # A worker starts another process if its own has died.
    assert (worker.process.pid, worker.process.poll()) == (at_first.pid, None)


@pytest.mark.usefixtures("trials")
def test_the_targets_of_redirects_are_never_called(elsewhere: Endpoint) -> None:
    assert elsewhere.connections == 0


def test_an_answer_of_1_gib_is_cut_off_near_its_beginning(trials: Mapping[str, Trial]) -> None:
    answer = trials["1 GiB"].hostile.behaviour

    assert isinstance(answer, Endless)
    assert answer.cut.saw()
    assert answer.sent < 2**26


@pytest.mark.parametrize("kind", RETRY_AFTER)
def test_a_retry_is_put_off_as_the_endpoint_asks_within_reason(kind: str, trials: Mapping[str, Trial]) -> None:
    _, earliest, latest = RETRY_AFTER[kind]
    entry = trials[f"429, to retry after {kind}"].entry

    put_off = datetime.fromisoformat(entry["retryAt"]) - datetime.fromisoformat(entry["claimedAt"])

    assert earliest <= put_off.total_seconds() <= latest


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_function_needs_no_more_memory_for_them(
    worker: Worker, trials: Mapping[str, Trial], again: Mapping[str, list[Account]], at_first: Process
) -> None:
    at_last = Process.of(worker)

    print(f"peak in KiB: {at_first.peak_kib} at first, {at_last.peak_kib} after all")
    for name, accounts in again.items():
        errors = [entry["error"] for account in accounts for entry in account.deliveries()]
        assert errors == [trials[name].hostile.error] * 5, name
    assert at_last.pid == at_first.pid
    assert at_last.peak_kib - at_first.peak_kib < LIMIT_GROWTH_KIB
