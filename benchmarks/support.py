"""What several benchmarks need: processes beside this one, and what a process has used."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.stack import Function, Stack
from local.template import PROJECT
from local.worker import Worker

_DYNAMODB = "AWS_ENDPOINT_URL_DYNAMODB"


@contextmanager
def tables_elsewhere() -> Iterator[int | None]:
    """The embedded AWS is one process on one core: its tables get a second, lest it be what is measured.

    Answers with that process's id. Where AWS_ENDPOINT_URL_DYNAMODB leads to some DynamoDB already, it stays that one.
    """
    if _DYNAMODB in os.environ:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Path(sys.executable).with_name("moto_server")
    with subprocess.Popen([server, "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        os.environ[_DYNAMODB] = f"http://127.0.0.1:{port}"
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.05)
            yield process.pid
        finally:
            del os.environ[_DYNAMODB]
            process.terminate()


@contextmanager
def answering(
    milliseconds: float = 0,
    answers: Mapping[str, str] | None = None,
    tell: Callable[[float, str], None] | None = None,
) -> Iterator[str]:
    """The URL of a server of `benchmarks.answering`; `tell` is called with the time and the body of each request."""
    settings = {"milliseconds": milliseconds, "answers": answers or {}, "tell": tell is not None}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.answering", json.dumps(settings)], cwd=PROJECT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        if tell:
            threading.Thread(target=_listen, args=[process.stdout, tell], daemon=True).start()
        try:
            yield url
        finally:
            process.terminate()


def _listen(lines: Iterator[bytes], tell: Callable[[float, str], None]) -> None:
    for line in lines:
        tell(*json.loads(line))


@contextmanager
def function_process(
    stack: Stack, function: Function, source: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """An environment of the function, with a log that nobody keeps."""
    with (
        TemporaryDirectory() as folder,
        closing(Worker(function, source, stack, Path(folder) / "log", environment)) as it,
    ):
        yield it


def bare(like: Function, handler: str) -> Function:
    """A handler of `benchmarks.floor` in an environment as the function has it. Its source is the project."""
    return Function(like.name, f"benchmarks.floor.{handler}", like.timeout, like.memory, like.environment)


def cpu_milliseconds(pid: int) -> float:
    """What the process has used so far, its threads included: user and system, to the clock tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """The most memory that the process has had resident."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert peak
    return int(peak[1]) / 1024


def share(figures: Sequence[float], of_them: float) -> float:
    """The figure below which that share of them lies: 0.5 for the median, 0.95, 0.99."""
    return sorted(figures)[min(int(len(figures) * of_them), len(figures) - 1)]
