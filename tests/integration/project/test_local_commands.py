"""The commands that need a running stack, after that stack has ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from local.__main__ import main
from local.stack import Stack, published
from local.template import PROJECT

EVENTS = PROJECT / "events"


@pytest.fixture
def stack_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    # The file of a stack that runs beside the tests is not used.
    monkeypatch.setattr("local.stack.STACK_FILE", tmp_path / "stack.json")
    return tmp_path / "stack.json"


def of_a_dead_process(stack: Stack) -> str:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return json.dumps({"pid": ended.pid, "stack": asdict(stack)})


def of_a_silent_endpoint(stack: Stack) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    return json.dumps({"pid": os.getpid(), "stack": asdict(replace(stack, endpoint=endpoint))})


def cut_off(stack: Stack) -> str:
    return of_a_dead_process(stack)[:40]


@pytest.mark.parametrize("left_behind", [of_a_dead_process, of_a_silent_endpoint, cut_off])
@pytest.mark.parametrize(
    "arguments",
    [
        ["send", str(EVENTS / "backup-failed.json")],
        ["deliveries", "TEST"],
        ["replay", "dead-letters"],
        ["webhook", "list", "TEST"],
        ["policy", "list", "TEST"],
        ["report", "--no-open"],
        ["token"],
        ["aws-backup", str(EVENTS / "aws-backup-failed.json")],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_file_of_a_stack_that_is_gone_reads_as_no_stack(
    arguments: list[str], left_behind: Callable[[Stack], str], stack: Stack, stack_file: Path
) -> None:
    stack_file.write_text(left_behind(stack))

    with pytest.raises(SystemExit, match=r"^No stack is running here"):
        main(arguments)


def test_a_stack_that_ends_leaves_the_file_of_a_later_one(stack: Stack, stack_file: Path) -> None:
    with published(stack):
        stack_file.write_text("a later one's")

    assert stack_file.read_text() == "a later one's"
