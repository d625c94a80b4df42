"""EventBridge Scheduler for rates: it invokes a function with the scheduled time."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from local.clock import LocalClock
from local.template import RateSchedule
from local.worker import FunctionError, Worker

# However fast the clock runs, a slow tick should end before the next one is due.
_SHORTEST_PAUSE_SECONDS = 1.0


class RateScheduler(threading.Thread):
    """A thread that ticks by the local clock, at most once a real second, until it is stopped."""

    def __init__(self, schedule: RateSchedule, worker: Worker, clock: LocalClock) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._schedule = schedule
        self._worker = worker
        self._clock = clock
        self._stopped = threading.Event()

    def run(self) -> None:
        """Tick until the thread is stopped. The next tick follows a failed one, as on AWS."""
        pause = max(self._schedule.every.total_seconds() / self._clock.speed, _SHORTEST_PAUSE_SECONDS)
        next_tick = time.monotonic()
        while not self._stopped.wait(max(next_tick - time.monotonic(), 0)):
            next_tick += pause
            try:
                self.tick()
            except FunctionError:
                continue

    def tick(self) -> Any:
        """Invoke the function with the local time, and return its answer. Raise `FunctionError` if there is none."""
        scheduled = self._clock().replace(second=0, microsecond=0)
        event = self._schedule.input.replace("<aws.scheduler.scheduled-time>", f"{scheduled:%Y-%m-%dT%H:%M:%SZ}")
        return self._worker.invoke(json.loads(event))

    def stop(self) -> None:
        """Let the thread end after the tick in hand: `join` waits for that."""
        self._stopped.set()
