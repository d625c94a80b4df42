"""The customers' and AWS's side of the local stack on a night, and its clock."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from pathlib import Path
from typing import Any

import urllib3

from local.clock import LocalClock
from local.http_api import HttpApi
from local.scheduler import RateScheduler
from local.stack import Stack
from local.worker import Worker
from tests.support.night import STEP, Backup, Server, Source
from tests.support.night_sources import job_events, messages, pings, policy
from tests.support.scripts import ScriptedServer

PATIENCE_SECONDS = 300
# At least once is what SQS and EventBridge promise, and a script's `curl --retry` does.
REPEATED = 0.2
LATEST_REPETITION = 3 * STEP


@dataclass
class Night:
    """The customers' and AWS's side of the local stack, and its clock. What is said comes shuffled and repeated."""

    stack: Stack
    account: str
    clock: LocalClock
    missed_backups: RateScheduler
    aws_backup: Worker
    gateway: HttpApi
    chance: random.Random
    # What is still to be said: when, and a message or an event of AWS Backup's.
    to_say: list[tuple[datetime, str | dict[str, Any]]] = field(default_factory=list)
    to_ping: list[tuple[datetime, str]] = field(default_factory=list)

    def plan(self, server: Server, backup: Backup, *, policy_since: datetime | None, url: str = "") -> None:
        """What is said of the server's backup, by its source; before it, since when there is a policy."""
        if server.source is Source.AWS_BACKUP:
            for timestamp, event in job_events(server, backup, self.chance):
                self.say(timestamp, event)
        elif server.source is Source.MESSAGES:
            if policy_since:
                self.say(policy_since, policy(server, self.account, policy_since))
            for timestamp, message in messages(server, self.account, backup):
                self.say(timestamp, message)
        else:
            self.to_ping += [(timestamp, url + step) for timestamp, step in pings(backup, self.chance)]

    def say(self, timestamp: datetime, said: str | dict[str, Any]) -> None:
        """Plan it for then, perhaps more than once."""
        self.to_say.append((timestamp, said))
        if self.chance.random() < REPEATED:
            self.to_say.append((timestamp + self.chance.random() * LATEST_REPETITION, said))

    def go_on(self, until: datetime, scripts: Sequence[tuple[Server, str]] = ()) -> None:
        """Let all be said that is to be by then, and tick; as of then all of it is read."""
        for timestamp, url in sorted(self._due(self.to_ping, until)):
            self.clock.set(timestamp)
            for _ in range(1 + (self.chance.random() < REPEATED)):
                answer = urllib3.request("POST", url, body=b"it said so", retries=False)
                assert (answer.status, answer.data) == (200, b"OK\n")
        for server, url in scripts:
            if until - STEP < server.tonight.scheduled_at <= until:
                self.clock.set(server.tonight.scheduled_at)
                back_up(server, url)
        said = self._due(self.to_say, until)
        self.chance.shuffle(said)
        for event in (one for _, one in said if isinstance(one, dict)):
            self.aws_backup.invoke(event)
        self._send([one for _, one in said if isinstance(one, str)])
        self.clock.set(until)
        self.missed_backups.tick()
        self._settle()

    def _due[Said](self, planned: list[tuple[datetime, Said]], until: datetime) -> list[tuple[datetime, Said]]:
        due = [one for one in planned if one[0] <= until]
        planned[:] = [one for one in planned if one[0] > until]
        return due

    def _send(self, bodies: Sequence[str]) -> None:
        for ten in batched(bodies, 10, strict=False):
            answer = self.stack.client("sqs").send_message_batch(
                QueueUrl=self.stack.outputs["BackupEventsQueueUrl"],
                Entries=[{"Id": str(place), "MessageBody": body} for place, body in enumerate(ten)],
            )
            assert not answer.get("Failed")

    def _settle(self) -> None:
        """Wait until nothing is on the queues, or in the functions' hands."""
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        sqs, end = self.stack.client("sqs"), time.monotonic() + PATIENCE_SECONDS
        for queue in ("BackupEventsQueue", "RetryQueue"):
            url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            while any(
                int(number)
                for number in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
            ):
                assert time.monotonic() < end, f"{queue} is not read"
                time.sleep(0.02)


def back_up(server: Server, url: str) -> None:
    """Let restic or Borg make the server's backup, with the script of docs/sources.md."""
    assert server.kind.ends
    # Not pytest's own folder, which others may not enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # noqa: S103 - other users write there
        scripted = ScriptedServer(Path(folder), url)
        script = scripted.restic if server.source is Source.RESTIC else scripted.borg
        script(scripted.home(), server.kind.ends)
