"""A function's execution environment: a process of `local/runtime.py`, and the Lambda Runtime API that it calls."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from local.quiet_server import QuietServer
from local.stack import Function, Stack
from local.template import PROJECT

START_SECONDS = 300
_INVOCATION = "/2018-06-01/runtime/invocation/"
_LOOK_SECONDS = 0.2
_RUNTIME = PROJECT / "local" / "runtime.py"
_processes: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


class FunctionError(Exception):
    """An invocation did not return: the function raised an error, ran out of time, or its process died."""


def kill_functions() -> None:
    """Kill the processes of all workers, without waiting for their end."""
    for process in list(_processes):
        process.kill()


class Worker:
    """One execution environment. It runs one invocation at a time, as on Lambda, and starts with the first one.

    `log`: the file to which the process prints.
    """

    def __init__(
        self, function: Function, source: Path, stack: Stack, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = function.name
        self.log = log
        self._function = function
        self._source = source
        self._events: queue.Queue[tuple[str, bytes, int]] = queue.Queue()
        self._answers: dict[str, Future[Any]] = {}
        self._api = QuietServer(("127.0.0.1", 0), self._handler())
        self._api.start(f"{function.name} runtime API")
        self._environment = self._make_environment(stack) | dict(environment or {})
        self._started = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The newest process. Without one, it starts."""
        with self._starting:
            if self._process is None:
                self._process = self._start()
            return self._process

    def invoke(self, event: Any) -> Any:
        """Return the handler's answer to the event. Raise `FunctionError` if there is none.

        The function's time begins when its process has started, as on Lambda.
        """
        with self._starting:
            if self._process and self._process.poll() is not None:
                self._process = None
        return self._invoke(event, self._function.timeout)

    def warm_up(self, events: Sequence[Any] = ()) -> None:
        """Wait until the process has started and has answered the events, without the function's own time limit.

        Raise `FunctionError` if the process dies.
        """
        self._wait_until_started()
        for event in events:
            self._invoke(event, START_SECONDS)

    def _wait_until_started(self) -> None:
        process, end = self.process, time.monotonic() + START_SECONDS
        while not self._started.wait(_LOOK_SECONDS):
            if process.poll() is not None:
                raise FunctionError(f"{self.name} died at its start, {self._end()}")
            if time.monotonic() >= end:
                raise FunctionError(f"{self.name} has not started within {START_SECONDS} s: see {self.log}")

    def _end(self) -> str:
        return f"with exit status {self.process.returncode}: see {self.log}"

    def _invoke(self, event: Any, seconds: float) -> Any:
        self._wait_until_started()
        request_id = str(uuid.uuid4())
        answer = self._answers[request_id] = Future()
        deadline = time.time() + seconds
        self._events.put((request_id, json.dumps(event).encode(), int(deadline * 1000)))
        try:
            while not answer.done() and self.process.poll() is None and time.time() < deadline:
                try:
                    return answer.result(timeout=_LOOK_SECONDS)
                except TimeoutError:
                    continue
            if answer.done():
                return answer.result()
            if self.process.poll() is not None:
                raise FunctionError(f"{self.name} died, {self._end()}")
            self._kill()
            raise FunctionError(f"{self.name} was out of time after {seconds:g} s: see {self.log}")
        finally:
            del self._answers[request_id]

    def close(self) -> None:
        """End the process, if there is one, and the API."""
        if self._process:
            self._kill()
        self._api.stop()

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # A new process must not get the events that the dead one left.
        self._events = queue.Queue()
        self._started = threading.Event()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - Python itself, as Lambda would start it
                # -P: the modules of the program's own folder are not the function's.
                [sys.executable, "-P", _RUNTIME, self._function.handler],
                cwd=self._source,
                env=self._environment,
                stdout=log,
                stderr=log,
                # The terminal's Ctrl-C is the stack's, which ends its functions itself.
                process_group=0,
            )
        _processes.add(process)
        return process

    def _make_environment(self, stack: Stack) -> dict[str, str]:
        host, port = self._api.server_address[:2]
        return (
            {"PATH": os.environ["PATH"]}
            | dict(self._function.environment)
            | stack.aws_environment()
            | {
                "AWS_LAMBDA_RUNTIME_API": f"{host!s}:{port}",
                "AWS_LAMBDA_FUNCTION_NAME": self._function.name,
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._function.memory),
                "AWS_REGION": "us-east-1",
                "LAMBDA_TASK_ROOT": str(self._source),
                "PYTHONPATH": os.pathsep.join([str(self._source), str(PROJECT / "layers" / "shared")]),
            }
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        worker = self

        class RuntimeApi(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                worker._started.set()
                request_id, event, deadline = worker._events.get()
                self._answer(
                    200,
                    event,
                    {
                        "Content-Type": "application/json",
                        "Lambda-Runtime-Aws-Request-Id": request_id,
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:"
                        + worker._function.name,
                    },
                )

            def do_POST(self) -> None:
                body = _read_body(self.rfile, self.headers.get("content-length"))
                request_id, _, outcome = self.path.removeprefix(_INVOCATION).partition("/")
                answer = worker._answers.get(request_id)
                if answer and outcome == "response":
                    answer.set_result(json.loads(body or b"null"))
                elif answer:
                    answer.set_exception(FunctionError(body.decode(errors="replace")))
                self._answer(202, b"", {})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return RuntimeApi


def _read_body(stream: BufferedIOBase, length: str | None) -> bytes:
    if length is not None:
        return stream.read(int(length))
    # The runtime client sends answers in chunks.
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
