"""A ping on the local stack, as curl would send it: gateway, function, table, queue, and the answer.

The floor is a handler behind the same gateway that does nothing. Each ping is a key's first, or one of its first ten:
what scripts that back up a few times a day send.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from copy import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import urllib3
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.sources.pings.rules import MOST_PINGS_A_MINUTE, PingKey, hash_of, new_key

from benchmarks.figures import Figure
from benchmarks.support import bare, function_process, tables_elsewhere
from local.http_api import Authorizer, HttpApi
from local.sign_in import AUDIENCE
from local.stack import NO_ISSUER, Stack, embedded
from local.template import PROJECT, HttpRoute, translate
from local.worker import Worker

FUNCTION, ROUTE = "PingFunction", "ANY /p/{proxy+}"
ROUNDS, QUICK_ROUNDS = 300, 50
WITHIN_MS = 100
LOG = b"x" * 1000


def keys(stack: Stack, number: int) -> list[str]:
    """So many new keys, one an account: a transaction of the embedded AWS copies its tables."""
    store = PingKeysStore(stack.client("dynamodb"), stack.outputs["PingKeysTableName"])
    now = utc_now()
    pattern = PingKey("", "", "bench", "bench", "bench", "bench", "bench", None, 24, "UTC", now, now)
    made = [new_key() for _ in range(number)]
    for key in made:
        store.add(replace(pattern, key_hash=hash_of(key), account=key))
    return made


@contextmanager
def served(worker: Worker) -> Iterator[HttpApi]:
    """The gateway with that one route, to that one environment."""
    route = HttpRoute(ROUTE, FUNCTION, authorized=False)
    with HttpApi([route], {FUNCTION: [worker]}, Authorizer(NO_ISSUER, AUDIENCE)) as api:
        yield api


def milliseconds(pool: urllib3.PoolManager, url: str) -> float:
    """How long a ping takes until its answer is there."""
    started = time.perf_counter()
    answer = pool.request("POST", url, body=LOG, retries=False)
    assert answer.data.startswith(b"OK"), answer.data
    return (time.perf_counter() - started) * 1000


def measure(quick: bool) -> Iterable[Figure]:
    """Milliseconds at the median, and at the 99th percentile."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    template = translate()
    with tables_elsewhere(), embedded(template) as stack, TemporaryDirectory() as folder:
        function = stack.functions()[FUNCTION]
        pings = [key for key in keys(stack, rounds // MOST_PINGS_A_MINUTE + 1) for _ in range(MOST_PINGS_A_MINUTE)]
        pool = urllib3.PoolManager()
        with (
            closing(Worker(function, template.sources[FUNCTION], stack, Path(folder) / "log")) as worker,
            function_process(stack, bare(function, "answer_ok"), PROJECT) as nothing,
            served(worker) as api,
            served(nothing) as floor,
        ):
            own, least = [], []
            # One after another in turns, lest what else the machine does be in one of them alone.
            for key in pings[: rounds + 1]:
                own.append(milliseconds(pool, f"{api.url}/p/{key}?rid=bench-{len(own)}"))
                least.append(milliseconds(pool, f"{floor.url}/p/{key}"))
    # Without the first, in which both start.
    own, least = sorted(own[1:]), sorted(least[1:])
    yield Figure(
        "ping-answer",
        statistics.median(own),
        "ms",
        statistics.median(least),
        goal=f"<= {WITHIN_MS}",
        note=f"median of {rounds}",
    )
    yield Figure("ping-answer-p99", own[int(rounds * 0.99)], "ms", least[int(rounds * 0.99)], note=f"of {rounds}")
