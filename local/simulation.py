"""The backups that `make run` simulates: those of the schedules, and in real time one in ten seconds beside them."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from local import messages
from local.arrivals import Arrivals
from local.clock import LocalClock
from local.servers import DemoServer
from local.stack import Stack

_LOOK_SECONDS = 1.0
# Between two backups beside the schedules: so long at least, and at most.
_PAUSE_SECONDS = (5.0, 15.0)


class Simulation:
    """The messages of the demo servers' backups. `manual`: whether some run beside the schedules."""

    def __init__(self, servers: Sequence[DemoServer], rng: random.Random, manual: bool) -> None:
        self._servers = servers
        self._rng = rng
        # A server whose policy is inactive makes no backups.
        self._active = [server for server in servers if server.active] if manual else []
        self._manual_at: datetime | None = None

    def due(self, now: datetime) -> list[dict[str, Any]]:
        """Return the messages of the backups that are due since the last call."""
        due = [message for server in self._servers for message in server.backups_until(now, self._rng)]
        if self._active and (self._manual_at is None or now >= self._manual_at):
            started = now - timedelta(minutes=self._rng.randint(1, 50))
            due += self._rng.choice(self._active).backup(started, now, self._rng)
            self._manual_at = now + timedelta(seconds=self._rng.uniform(*_PAUSE_SECONDS))
        return due


def simulate(stack: Stack, arrivals: Arrivals, clock: LocalClock, servers: Sequence[DemoServer]) -> NoReturn:
    """Send messages of the demo servers' backups for ever."""
    print("Simulating backups until Ctrl-C. In another terminal: .venv/bin/python -m local send events/…", flush=True)
    if clock.speed > 1:
        print(f"The clock runs {clock.speed:g} times as fast: a missed backup shows within seconds of its hour.")
    rng = random.Random(secrets.randbits(32))  # noqa: S311 - invents a demo
    # By a fast clock the schedules alone bring enough of them.
    simulation = Simulation(servers, rng, manual=clock.speed == 1)
    while True:
        for message in simulation.due(clock()):
            body = json.dumps(message)
            if message["type"] == "BackupFinished":
                arrivals.expect(body)
            messages.send(stack, body)
        time.sleep(_LOOK_SECONDS)
