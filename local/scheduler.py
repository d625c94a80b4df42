"""EventBridge Scheduler, for rates: invokes a function with the time at which it was scheduled."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from local.clock import LocalClock
from local.template import RateSchedule
from local.worker import FunctionError, Worker

# However fast the clock: a tick that takes a while is not to be overrun by the next.
_SHORTEST_PAUSE_SECONDS = 1.0


class RateScheduler(threading.Thread):
    """Ticks by the local clock, though never more often than each second, until it is stopped."""

    def __init__(self, schedule: RateSchedule, worker: Worker, clock: LocalClock) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._schedule = schedule
        self._worker = worker
        self._clock = clock
        self._stopped = threading.Event()

    def run(self) -> None:
        """Tick; a failed tick is followed by the next, as on AWS."""
        pause = max(self._schedule.every.total_seconds() / self._clock.speed, _SHORTEST_PAUSE_SECONDS)
        next_tick = time.monotonic()
        while not self._stopped.wait(max(next_tick - time.monotonic(), 0)):
            next_tick += pause
            try:
                self.tick()
            except FunctionError:
                continue

    def tick(self) -> Any:
        """Invoke the function once, as of now by the local clock, and answer with what it returned; `FunctionError`
        otherwise.
        """
        scheduled = self._clock().replace(second=0, microsecond=0)
        event = self._schedule.input.replace("<aws.scheduler.scheduled-time>", f"{scheduled:%Y-%m-%dT%H:%M:%SZ}")
        return self._worker.invoke(json.loads(event))

    def stop(self) -> None:
        """End after the tick in hand, and wait for that."""
        self._stopped.set()
        self.join()
