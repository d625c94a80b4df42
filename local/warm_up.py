"""The start of the functions' processes: as long as it takes, and it says which of them it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from local.worker import START_SECONDS, FunctionError, Worker


@dataclass(frozen=True)
class Patience:
    """After how many seconds of waiting a line says so, first and then again, and after how many the start fails."""

    first: float = 5
    again: float = 15
    limit: float = START_SECONDS
    say: Callable[[str], None] = print


def warm_up(events: Mapping[Worker, Sequence[Any]], patience: Patience | None = None) -> None:
    """Wait until each worker has started and has answered its events. Raise `FunctionError` if one cannot.

    After an error the caller must close the workers: some threads still wait for them.
    """
    threads = ThreadPoolExecutor(max(len(events), 1), "warm-up")
    tasks = {threads.submit(worker.warm_up, its_events): worker for worker, its_events in events.items()}
    patience, pending, began = patience or Patience(), set(tasks), time.monotonic()
    next_line = patience.first
    try:
        while pending:
            until = began + min(next_line, patience.limit)
            done, pending = wait(pending, max(until - time.monotonic(), 0), FIRST_EXCEPTION)
            for task in done:
                task.result()
            passed = time.monotonic() - began
            if pending and passed >= patience.limit:
                missing = {worker.name: f"{worker.name} ({worker.log})" for worker in map(tasks.__getitem__, pending)}
                functions = ", ".join(sorted(missing.values()))
                raise FunctionError(f"Not ready after {patience.limit / 60:g} minutes: {functions}")
            if pending and passed >= next_line:
                names = ", ".join(sorted({tasks[task].name for task in pending}))
                patience.say(f"Waiting for {names}: {passed:.0f} s so far …")
                next_line = passed + patience.again
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
