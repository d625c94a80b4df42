"""The boundary of a function: each request that it makes passes here, and fails, waits or is its last as a test says.

botocore's own retries, its time limits and its handling of connections are on this side of it, and the wire too.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from tests.support.fault_proxy import Answer, Broken, Call, internal_server_error, throttled
from tests.support.memory import Killed

# As in clients.py; it passes on the test's clock, while a test waits for a hundredth of that.
READ_TIMEOUT = timedelta(seconds=2)
IMPATIENCE_SECONDS = READ_TIMEOUT.total_seconds() / 100
# Nothing that is not held takes so long, on the slowest machine.
PATIENCE_SECONDS = 60
CONNECT_SECONDS = 10


class Fault(StrEnum):
    """What may happen to one request."""

    ERROR = "500, and nothing done"
    ERROR_AFTER = "500, though it is done"
    THROTTLED = "throttled"
    CUT = "connection cut, and nothing done"
    CUT_AFTER = "connection cut, though it is done"
    TORN = "done, and connection cut within the answer"
    HELD = "no answer in time, and nothing done"
    HELD_AFTER = "no answer in time, though it is done"
    LATE = "no answer in time, and done after the next request"
    KILLED_BEFORE = "killed before it"
    KILLED_AFTER = "killed after it"


WAITING = (Fault.HELD, Fault.HELD_AFTER, Fault.LATE)
KILLS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


@dataclass(frozen=True)
class Crossing:
    """A request on its way out. `number` counts calls, of which botocore makes several tries: `attempt`, from 0.

    `service`: `dynamodb`, `sqs` or `endpoint`, whose one operation is `POST`.
    """

    number: int
    attempt: int
    function: str
    service: str
    operation: str


@dataclass
class Boundary:
    """`choose` says what is to happen to a request; `on_effect` hears of each call that AWS has done, with its status.

    `now` is the test's clock, which `wait` moves on.
    """

    now: Callable[[], datetime]
    wait: Callable[[timedelta], None]
    choose: Callable[[Crossing], Fault | None] = lambda crossing: None
    on_effect: Callable[[Call, int], None] = lambda call, status: None
    calls: int = 0
    function: str = ""
    _deadline: datetime | None = None
    _dead: bool = False
    _call: tuple[str, int] = ("", 0)
    _fault: Fault | None = None
    _late: list[Call] = field(default_factory=list)
    _handled: threading.Event = field(default_factory=threading.Event)

    def enter(self, function: str, deadline: datetime) -> None:
        """A function begins; at the deadline it will be stopped."""
        self.function, self._deadline, self._dead = function, deadline, False

    def leave(self) -> None:
        """It has ended, one way or another; what is still on its way arrives."""
        self._arrive()
        self.function, self._deadline, self._dead = "", None, False

    def cross(self, service: str, operation: str, call_id: str) -> Fault | None:
        """What is to happen to this request. Raises `Killed` for a function that is stopped here, or was before.

        Nothing happens to the test's own, which no function makes.
        """
        if not self.function:
            self._fault = None
            return None
        if self._deadline and self.now() >= self._deadline:
            self._dead = True
        if self._dead:
            raise Killed
        if self._call[0] == call_id:
            self._call = call_id, self._call[1] + 1
        else:
            self._call = call_id, 0
            self.calls += 1
        crossing = Crossing(self.calls - 1, self._call[1], self.function, service, operation)
        self._fault = self.choose(crossing)
        if self._fault is Fault.KILLED_BEFORE:
            self.kill()
        self._handled.clear()
        return self._fault

    def kill(self) -> None:
        """The function's process is gone, with all its threads."""
        self._dead = True
        raise Killed

    def gave_up(self) -> None:
        """The client has waited long enough. What AWS does of its request, it has done before the next one comes."""
        self._handled.wait(PATIENCE_SECONDS)
        self.wait(READ_TIMEOUT)

    def answer(self, call: Call) -> Answer | Broken:
        """The behaviour of the proxies."""
        try:
            return self._answer(call)
        finally:
            self._handled.set()

    def _answer(self, call: Call) -> Answer | Broken:
        match self._fault:
            case Fault.ERROR:
                return internal_server_error()
            case Fault.THROTTLED:
                return throttled()
            case Fault.CUT:
                return Broken()
            case Fault.HELD:
                return Broken(held=True)
            case Fault.LATE:
                self._late.append(call)
                return Broken(held=True)
        answer = self._do(call)
        self._arrive()
        match self._fault:
            case Fault.ERROR_AFTER:
                return internal_server_error()
            case Fault.CUT_AFTER:
                return Broken()
            case Fault.TORN:
                return Broken(answer)
            case Fault.HELD_AFTER:
                return Broken(held=True)
        return answer

    def _do(self, call: Call) -> Answer:
        answer = call.forward()
        self.on_effect(call, answer[0])
        return answer

    def _arrive(self) -> None:
        late, self._late = self._late, []
        for call in late:
            self._do(call)


class FaultySession:
    """What a botocore client sends its requests with: botocore's own, across the boundary."""

    def __init__(self, boundary: Callable[[], Boundary], service: str) -> None:
        self._boundary, self._service = boundary, service
        # As botocore has it: without that the second packet of a request waits until the first is acknowledged.
        at_once = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        self._patient = URLLib3Session(timeout=(CONNECT_SECONDS, PATIENCE_SECONDS), socket_options=at_once)
        self._impatient = URLLib3Session(timeout=(CONNECT_SECONDS, IMPATIENCE_SECONDS), socket_options=at_once)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        boundary = self._boundary()
        fault = boundary.cross(self._service, _text(request, "X-Amz-Target").rpartition(".")[2], _call_id(request))
        if fault in WAITING:
            try:
                return self._impatient.send(request)
            finally:
                boundary.gave_up()
        response = self._patient.send(request)
        if fault is Fault.KILLED_AFTER:
            boundary.kill()
        return response

    def close(self) -> None:
        self._patient.close()
        self._impatient.close()


def _call_id(request: AWSPreparedRequest) -> str:
    """The same for each try of a call."""
    return _text(request, "amz-sdk-invocation-id")


def _text(request: AWSPreparedRequest, header: str) -> str:
    value: Any = request.headers[header]
    return value.decode() if isinstance(value, bytes) else value
