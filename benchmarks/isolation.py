"""From queue to POST at one account's endpoint: alone, and while another account's endpoint hangs on 1,000 events.

The whole local stack in real time, with five environments of each function, as many as Lambda begins with, and 10 s for
each POST that hangs. The thousand come evenly over the minute: all at once they would measure the embedded AWS, which
needs longer than that minute to take and hand out so many. The floor is the account's median alone.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import Target

from benchmarks.figures import Figure
from benchmarks.support import share, tables_elsewhere
from local.clock import LocalClock
from local.demo import functions_running
from local.receiver import Post, Receiver
from local.stack import Stack, embedded
from local.targets import save_target
from local.template import translate
from local.webhooks import targets_store

A_SECOND = 5
SECONDS_ALONE, SECONDS_BESIDE = 20, 60
HANGING_EVENTS = 1000
ENVIRONMENTS = 5
HANG_SECONDS = 30
MOST = "<= 2"


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
        """Send the good account's messages evenly; the seconds of each, HANG_SECONDS where it never came."""
        marks = []
        sqs, queue_url = stack.client("sqs"), stack.outputs["BackupEventsQueueUrl"]
        begin = time.monotonic()
        for number in range(seconds * A_SECOND):
            time.sleep(max(begin + number / A_SECOND - time.monotonic(), 0))
            marks.append(uuid.uuid4().hex)
            self.sent[marks[-1]] = time.time()
            sqs.send_message(QueueUrl=queue_url, MessageBody=missed("GOOD", marks[-1]))
        end = time.monotonic() + HANG_SECONDS
        while not all(mark in self.latencies for mark in marks) and time.monotonic() < end:
            time.sleep(0.1)
        return [self.latencies.get(mark, HANG_SECONDS) for mark in marks]


def send_hanging(stack: Stack) -> None:
    sqs = stack.client("sqs")
    begin = time.monotonic()
    for batch in range(HANGING_EVENTS // 10):
        time.sleep(max(begin + batch * SECONDS_BESIDE * 10 / HANGING_EVENTS - time.monotonic(), 0))
        entries = [{"Id": str(n), "MessageBody": missed("HANGS", uuid.uuid4().hex)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=stack.outputs["BackupEventsQueueUrl"], Entries=entries)


def measure(quick: bool) -> Iterable[Figure]:
    """The median beside the endpoint that hangs, against the median alone; never `quick`: it takes a minute."""
    over = threading.Event()
    watch = Stopwatch()
    template = translate()
    with (
        tables_elsewhere(),
        embedded(template) as stack,
        Receiver(watch.on_post) as good,
        Receiver(lambda post: over.wait(HANG_SECONDS) and None) as hanging,
        functions_running(template, stack, LocalClock(), ENVIRONMENTS),
    ):
        store = targets_store(stack)
        save_target(store, Target("GOOD", [EventType.MISSING], good.url))
        save_target(store, Target("HANGS", [EventType.MISSING], hanging.url))
        watch.send_for(stack, 5)  # cold starts
        alone = watch.send_for(stack, SECONDS_ALONE)
        storm = threading.Thread(target=send_hanging, args=[stack])
        storm.start()
        beside = watch.send_for(stack, SECONDS_BESIDE)
        storm.join()
        over.set()
    for name, of_them, goal in (("p50", 0.5, MOST), ("p95", 0.95, None), ("p99", 0.99, None)):
        figure, floor = share(beside, of_them) * 1000, share(alone, of_them) * 1000
        note = f"{HANGING_EVENTS} events hang; {len(beside)} beside them, {len(alone)} alone"
        yield Figure(f"isolation-{name}", figure, "ms", floor, figure / floor, goal, note)
