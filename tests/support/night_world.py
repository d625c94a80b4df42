"""The customers' and AWS's side of a world on a night, and its clock."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3
from backup_webhooks.sources.aws_backup.jobs import BackupJob

from local.http_api import Authorizer, HttpApi
from tests.support.night import STEP, Backup, Server, Source
from tests.support.night_sources import job_events, messages, pings, policy
from tests.support.pings import ROUTE
from tests.support.scripts import ScriptedServer
from tests.world.world import READERS, World

# SQS and EventBridge deliver at least once, and so does a script's `curl --retry`.
REPEATED = 0.2
LATEST_REPETITION = 3 * STEP


@dataclass
class _PingFunction:
    """The ping function behind the gateway."""

    world: World

    def invoke(self, event: Mapping[str, Any]) -> Any:
        return self.world.invoke("ping", lambda _: self.world.functions.ping.answer(event))


@contextmanager
def gateway(world: World) -> Iterator[HttpApi]:
    """Serve the world's ping URLs."""
    workers: Any = {ROUTE.function: [_PingFunction(world)]}
    with HttpApi([ROUTE], workers, Authorizer("", ""), clock=lambda: world.now) as api:
        yield api


@dataclass
class Night:
    """The customers' and AWS's side of a world. Its messages come shuffled and repeated."""

    world: World
    account: str
    gateway: HttpApi
    chance: random.Random
    # The messages and AWS Backup's events that are still to be sent, each with its time.
    to_say: list[tuple[datetime, str | dict[str, Any]]] = field(default_factory=list)
    to_ping: list[tuple[datetime, str]] = field(default_factory=list)

    def plan(self, server: Server, backup: Backup, *, policy_since: datetime | None, url: str = "") -> None:
        """Plan what the server's source sends of the backup. `policy_since`: when its policy is sent as active."""
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
        """Plan a message or event for that time, perhaps more than once."""
        self.to_say.append((timestamp, said))
        if self.chance.random() < REPEATED:
            self.to_say.append((timestamp + self.chance.random() * LATEST_REPETITION, said))

    def go_on(self, until: datetime, scripts: Sequence[tuple[Server, str]] = ()) -> None:
        """Send all that is planned until then, tick, and let the functions handle all of it."""
        world = self.world
        for timestamp, url in sorted(self._due(self.to_ping, until)):
            world.now = timestamp
            for _ in range(1 + (self.chance.random() < REPEATED)):
                answer = urllib3.request("POST", url, body=b"it said so", retries=False)
                assert (answer.status, answer.data) == (200, b"OK\n")
        for server, url in scripts:
            if until - STEP < server.tonight.scheduled_at <= until:
                world.now = server.tonight.scheduled_at
                back_up(server, url)
        said = self._due(self.to_say, until)
        self.chance.shuffle(said)
        world.now = until
        for _, one in said:
            if isinstance(one, str):
                world.send(one)
            elif job := BackupJob.from_event(one):
                world.invoke("aws_backup", lambda _, job=job: world.functions.aws_jobs.publish(job))
        world.invoke("missed_backups", lambda deadline: world.functions.missed_backups.tick(until, deadline))
        world.settle(within=STEP / 2)
        assert not any(world.queues[name].bodies for name in READERS), "messages are left on a queue"

    def _due[Said](self, planned: list[tuple[datetime, Said]], until: datetime) -> list[tuple[datetime, Said]]:
        due = [one for one in planned if one[0] <= until]
        planned[:] = [one for one in planned if one[0] > until]
        return due


def back_up(server: Server, url: str) -> None:
    """Let restic or Borg make the server's backup, with the script of docs/sources.md."""
    assert server.kind.ends
    # Other users cannot enter pytest's own folder.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # noqa: S103 - other users write there
        scripted = ScriptedServer(Path(folder), url)
        script = scripted.restic if server.source is Source.RESTIC else scripted.borg
        script(scripted.home(), server.kind.ends)
