"""`make run` as a process: its steps, its end by a signal at any of them, and the endpoints that it refuses."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.ending import LIMIT_SECONDS
from local.receiver import Receiver
from local.stack import Stack, embedded
from local.template import PROJECT, Template

# A process that does not end by then is killed, which fails the test.
PATIENCE_SECONDS = 300
PORT = 9000


class Run:
    """A process of `python -m local`, or with other arguments of Python. `lines`: its output so far."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT_URL")}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=inherited | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.lines: list[str] = []
        self._timer = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        self._timer.start()

    def wait_for(self, text: str) -> str:
        """Return the next line with that text."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was not printed, but: {self.lines}")

    def rest(self) -> list[str]:
        """Return the lines until its end."""
        assert self.process.stdout
        return self.process.stdout.read().splitlines()

    def functions(self) -> list[int]:
        """Return descriptors of its child processes, which can be read once these have ended. Empty except on Linux."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [os.pidfd_open(int(child)) for path in children for child in path.read_text().split()]

    def close(self) -> None:
        self.process.kill()
        self._timer.cancel()
        self.process.communicate()


type Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes whose files are the test's own."""
    with ExitStack() as running:

        def make(*arguments: str, **environment: str) -> Run:
            run = Run(list(arguments), {"LOCAL_FOLDER": str(tmp_path)} | environment)
            running.callback(run.close)
            return run

        yield make


@pytest.fixture
def address() -> str:
    """Return an address of this machine at which no other test and no other stack listens."""
    address = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{max(os.getpid() & 255, 2)}"
    try:
        socket.create_server((address, PORT)).close()
    except OSError:
        pytest.skip(f"{address} is no address of this machine")
    return address


def ended(processes: list[int]) -> bool:
    """Return whether all of them end."""
    for process in processes:
        if not select.select([process], [], [], PATIENCE_SECONDS)[0]:
            return False
        os.close(process)
    return True


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("Starting: Python modules", signal.SIGINT),
        ("Starting: embedded AWS", signal.SIGINT),
        ("Starting: functions", signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_start_with_one_line(
    step: str, number: signal.Signals, start: Start, address: str, tmp_path: Path
) -> None:
    run = start("-m", "local", "run", f"LISTEN={address}", f"PORT={PORT}")
    run.wait_for(step)
    functions = run.functions()

    # A terminal sends the signal to the whole group.
    os.killpg(run.process.pid, number)

    assert run.rest()[-1].startswith("Stopped")
    assert run.process.wait() == 0
    assert ended(functions)
    assert not (tmp_path / "stack.json").exists()
    assert "Traceback" not in "".join(path.read_text() for path in tmp_path.glob("*.log"))


def test_a_quiet_run_listens_at_the_ports_from_port_on_and_ends_by_ctrl_c(
    start: Start, address: str, tmp_path: Path
) -> None:
    run = start("-m", "local", "run", f"LISTEN={address}", f"PORT={PORT}", "QUIET=1")
    urls = run.wait_for("The page: ").split()
    assert [f"http://{address}:{port}" for port in (PORT, PORT + 1, PORT + 2)] == urls[2::2]
    run.wait_for("No backups are simulated (QUIET=1)")
    for port in range(PORT, PORT + 6):
        socket.create_connection((address, port)).close()

    # The commands find it.
    listed = start("-m", "local", "policy", "list", "TEST")
    assert any(line.startswith("IL1TESTWEB01 ") for line in listed.rest())
    functions = run.functions()
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGINT)

    assert run.rest() == ["Stopped."]
    assert run.process.wait() == 0
    assert ended(functions)
    assert not (tmp_path / "stack.json").exists()


def test_a_simulation_ends_with_its_figures(start: Start, address: str) -> None:
    run = start("-m", "local", "run", f"LISTEN={address}", f"PORT={PORT}", "ONCE=0")
    run.wait_for("Simulating backups until Ctrl-C")
    run.wait_for(" ms  POST /Backup.")

    run.process.send_signal(signal.SIGTERM)

    assert run.rest()[-1].startswith("Stopped: ")
    assert run.process.wait() == 0


def test_a_run_with_an_end_fails_if_a_signal_ends_it(start: Start) -> None:
    run = start("-m", "local", "run", "ONCE=1")
    run.wait_for("Starting: SAM translation")

    run.process.send_signal(signal.SIGINT)

    assert run.rest()[-1] == "Stopped."
    assert run.process.wait() == 128 + signal.SIGINT


def test_a_signal_ends_a_process_that_hangs_while_it_stops(start: Start) -> None:
    hangs = """
import threading
from local.ending import at_signal, until_signal

def hang():
    print("stopping", flush=True)
    threading.Event().wait()

def work():
    with at_signal(hang):
        print("working", flush=True)
        threading.Event().wait()

until_signal(work)
"""
    run = start("-c", hangs)
    run.wait_for("working")
    run.process.send_signal(signal.SIGTERM)
    run.wait_for("stopping")
    run.process.send_signal(signal.SIGINT)

    assert run.rest() == ["Stopped."]
    assert run.process.wait() == 128 + signal.SIGTERM
    assert LIMIT_SECONDS < 2


def test_a_run_does_not_touch_a_stack_that_it_has_not_made(start: Start, stack: Stack, tmp_path: Path) -> None:
    run = start("-m", "local", "run", "ONCE=1", AWS_ENDPOINT_URL=stack.endpoint)

    (line,) = [line for line in run.rest() if not line.startswith("Starting: ")]
    assert line.startswith(f"AWS_ENDPOINT_URL={stack.endpoint} holds a stack named 'local' already")
    assert "Unset AWS_ENDPOINT_URL, or delete that stack: " in line
    assert run.process.wait() == 1
    assert stack.functions()


def test_a_stack_without_the_tag_is_never_touched(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"""<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
<StackName>local</StackName><StackId>1</StackId><CreationTime>2026-11-25T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""
    with Receiver(lambda post: (200, {"content-type": "text/xml"}, answer)) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        with pytest.raises(SystemExit, match="which this run has not made"), embedded(template):
            pass

    assert [b"Action=DescribeStacks" in post.body for post in aws.posts] == [True]


def test_an_endpoint_that_does_not_answer_is_named(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    with pytest.raises(SystemExit, match=f"^AWS_ENDPOINT_URL={url}: nothing answers there"), embedded(template):
        pass


def test_tables_that_the_run_has_not_made_are_not_touched(
    template: Template, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The session's stack has another name, so only the table names of the template count.
    monkeypatch.setattr("local.stack.STACK_NAME", "another")
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", stack.client("dynamodb").meta.endpoint_url)

    with pytest.raises(SystemExit, match=r"holds tables already.*WebhooksTable"), embedded(template, replace=False):
        pass
