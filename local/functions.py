"""The functions that have a queue or a schedule, each in processes of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from local.clock import LocalClock
from local.poller import Poller
from local.scheduler import RateScheduler
from local.stack import Stack, log_file
from local.template import Template
from local.worker import Worker

_WORKERS_A_QUEUE = 2
_BUSY_QUEUES = ("BackupEventsQueue", "RetryQueue")


@contextmanager
def functions_running(
    template: Template,
    stack: Stack,
    clock: LocalClock,
    workers_a_queue: int = _WORKERS_A_QUEUE,
    *,
    scheduled: bool = True,
) -> Iterator[Sequence[Worker]]:
    """Run each function that has a queue or, if `scheduled`, a schedule in its own workers, which it yields."""
    workers: dict[str, list[Worker]] = defaultdict(list)
    drivers: list[Poller | RateScheduler] = []
    functions = stack.functions()

    def start_worker(name: str) -> Worker:
        workers[name].append(Worker(functions[name], template.sources[name], stack, log_file(name)))
        return workers[name][-1]

    # The stack's parameters may leave out a function.
    for source in (source for source in template.queue_sources if source.function in functions):
        url = stack.client("sqs").get_queue_url(QueueName=source.queue)["QueueUrl"]
        # One worker is enough for e-mail, and each process takes time to start.
        for _ in range(workers_a_queue if source.queue in _BUSY_QUEUES else 1):
            drivers.append(Poller(stack, url, source, start_worker(source.function), _noting_ends(source.queue)))
    schedules = template.schedules if scheduled else ()
    for schedule in (schedule for schedule in schedules if schedule.function in functions):
        of_function = workers.get(schedule.function) or [start_worker(schedule.function)]
        drivers.append(RateScheduler(schedule, of_function[0], clock))
    for driver in drivers:
        driver.start()
    try:
        yield list(chain.from_iterable(workers.values()))
    finally:
        # All of them before the first is waited for: together they take as long as the slowest.
        for driver in drivers:
            driver.stop()
        for driver in drivers:
            driver.join()
        for worker in chain.from_iterable(workers.values()):
            worker.close()


def _noting_ends(queue: str) -> Callable[[str, bool], None]:
    """Return what notes the end of each message in the queue's log, where `python -m local send` waits for it."""
    log = log_file(queue)

    def note(message_id: str, handled: bool) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as lines:
            lines.write(f"{message_id} {'handled' if handled else 'failed'}\n")

    return note
