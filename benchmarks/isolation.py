"""From queue to POST at one account's endpoint: alone, and while another account's endpoint hangs on 1,000 events.

The whole local stack in real time, with five environments of each function, as many as Lambda begins with, and 10 s for
each POST that hangs. The thousand come evenly over the minute: all at once they would measure the embedded AWS, which
needs longer than that minute to take and hand out so many. Prints a JSON line and a table; the figure is the ratio of
the medians, of which 2 is the most allowed.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from backup_webhooks.messages import WebhookEvent
from backup_webhooks.targets import Target

from local import messages
from local.clock import LocalClock
from local.demo import functions_running
from local.receiver import Post, Receiver
from local.stack import Stack, embedded
from local.template import translate
from local.webhooks import configurations_store

A_SECOND = 5
SECONDS_ALONE, SECONDS_BESIDE = 20, 60
HANGING_EVENTS = 1000
ENVIRONMENTS = 5
HANG_SECONDS = 30


def missed(account: str, mark: str) -> str:
    """A message of the account whose POST carries the mark."""
    return json.dumps(
        {
            "type": "BackupMissed",
            "accountAlias": account,
            "serverId": "IL1TESTWEB01",
            "serverPolicyId": mark,
            "accountPolicyId": "ap",
            "accountPolicyName": "Nightly",
            "storageRegion": "US WEST",
            "expectedDate": "2018-12-20T05:00:00Z",
        }
    )


class Stopwatch:
    """Notes when each mark was sent and posted."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.latencies: dict[str, float] = {}

    def on_post(self, post: Post) -> None:
        mark = json.loads(post.body)["text"].partition("policy id [")[2].partition("]")[0]
        self.latencies[mark] = post.received_at - self.sent[mark]

    def send_for(self, stack: Stack, seconds: int) -> list[float]:
        """Send the good account's messages at an even pace; how long each took, those that never came as infinite."""
        marks = []
        begin = time.monotonic()
        for number in range(seconds * A_SECOND):
            time.sleep(max(begin + number / A_SECOND - time.monotonic(), 0))
            marks.append(uuid.uuid4().hex)
            self.sent[marks[-1]] = time.time()
            messages.send(stack, missed("GOOD", marks[-1]))
        end = time.monotonic() + HANG_SECONDS
        while not all(mark in self.latencies for mark in marks) and time.monotonic() < end:
            time.sleep(0.1)
        return [self.latencies.get(mark, float("inf")) for mark in marks]


def send_hanging(stack: Stack) -> None:
    sqs = stack.client("sqs")
    begin = time.monotonic()
    for batch in range(HANGING_EVENTS // 10):
        time.sleep(max(begin + batch * SECONDS_BESIDE * 10 / HANGING_EVENTS - time.monotonic(), 0))
        entries = [{"Id": str(n), "MessageBody": missed("HANGS", uuid.uuid4().hex)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=stack.outputs["BackupEventsQueueUrl"], Entries=entries)


@contextmanager
def dynamodb_elsewhere() -> Iterator[None]:
    """The embedded AWS is one process on one core: its tables get a second, lest it be what is measured."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Path(sys.executable).with_name("moto_server")
    with subprocess.Popen([server, "-p", str(port)], stderr=subprocess.DEVNULL) as process:  # noqa: S603
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{port}"
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        try:
            yield
        finally:
            process.terminate()


def main() -> None:
    over = threading.Event()
    watch = Stopwatch()
    template = translate()
    with (
        dynamodb_elsewhere(),
        embedded(template) as stack,
        Receiver(watch.on_post) as good,
        Receiver(lambda post: over.wait(HANG_SECONDS) and None) as hanging,
        functions_running(template, stack, LocalClock(), ENVIRONMENTS),
    ):
        store = configurations_store(stack)
        store.save(Target("GOOD", WebhookEvent.MISSING, good.url))
        store.save(Target("HANGS", WebhookEvent.MISSING, hanging.url))
        watch.send_for(stack, 5)  # cold starts
        alone = watch.send_for(stack, SECONDS_ALONE)
        storm = threading.Thread(target=send_hanging, args=[stack])
        storm.start()
        beside = watch.send_for(stack, SECONDS_BESIDE)
        storm.join()
        over.set()
    ratio = statistics.median(beside) / statistics.median(alone)
    print(json.dumps({"name": "isolation", "figure": round(ratio, 2), "unit": "x alone", "most allowed": 2}))
    for name, latencies in (("alone", alone), ("beside 1,000 that hang", beside)):
        p50, p95, p99 = (sorted(latencies)[int(len(latencies) * share)] * 1000 for share in (0.5, 0.95, 0.99))
        print(f"{name:24} n={len(latencies):4}  p50 {p50:7.0f} ms  p95 {p95:7.0f} ms  p99 {p99:7.0f} ms")


if __name__ == "__main__":
    main()
