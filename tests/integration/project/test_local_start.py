"""The start of the functions: its time limit, and the lines that are printed meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from local.stack import Function, Stack
from local.warm_up import Patience, warm_up
from local.worker import FunctionError, Worker

# Shorter than any start takes.
NO_TIME = 0.01


@pytest.fixture
def worker_of(stack: Stack, tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """Makes workers of a function with the given code and almost no time limit."""
    with ExitStack() as workers:

        def make(code: str) -> Worker:
            (tmp_path / "app.py").write_text(code)
            function = Function("SlowFunction", "app.lambda_handler", 1, 128, {})
            function = replace(function, timeout=NO_TIME)  # type: ignore[arg-type]
            return workers.enter_context(closing(Worker(function, tmp_path, stack, tmp_path / "SlowFunction.log")))

        yield make


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe: a reader waits until the test writes."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


def test_a_function_may_take_longer_to_start_than_its_time_limit(
    worker_of: Callable[[str], Worker], gate: Path
) -> None:
    said: list[str] = []

    def let_it_go_on(line: str) -> None:
        said.append(line)
        if len(said) in (2, 4):
            gate.write_text("go on")

    worker = worker_of(
        f"""
open({str(gate)!r}).read()

def lambda_handler(event, context):
    return open({str(gate)!r}).read()
"""
    )
    warm_up({worker: [{}]}, Patience(first=2 * NO_TIME, again=2 * NO_TIME, say=let_it_go_on))

    assert len(said) >= 4
    assert all(line.startswith("Waiting for SlowFunction: ") for line in said)


def test_a_function_that_dies_at_its_start_is_named_at_once_with_its_log(worker_of: Callable[[str], Worker]) -> None:
    worker = worker_of("raise SystemExit(3)")

    with pytest.raises(
        FunctionError, match=r"^SlowFunction died at its start, with exit status \d+: see .*Function.log$"
    ):
        warm_up({worker: []})


def test_a_function_that_never_starts_is_given_up_with_its_log(worker_of: Callable[[str], Worker], gate: Path) -> None:
    worker = worker_of(f"open({str(gate)!r}).read()")

    with pytest.raises(FunctionError, match=r"^Not ready after .* minutes: SlowFunction \(.*SlowFunction.log\)$"):
        warm_up({worker: []}, Patience(first=NO_TIME, limit=5 * NO_TIME))


def test_a_function_that_is_out_of_time_is_named_with_its_log(worker_of: Callable[[str], Worker], gate: Path) -> None:
    worker = worker_of(f"def lambda_handler(event, context): open({str(gate)!r}).read()")

    with pytest.raises(FunctionError, match=r"^SlowFunction was out of time after 0.01 s: see .*SlowFunction.log$"):
        worker.invoke({})
