"""The boundary of a function: each request passes here, and fails, waits or ends the function as a test says.

botocore's own retries and its time limits are on the function's side of it. Where a connection fails, the request goes
through botocore's own HTTP to the proxy; others reach the proxy directly.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from tests.support.fault_proxy import (
    Answer,
    Broken,
    Call,
    FaultProxy,
    headers_of,
    internal_server_error,
    throttled,
)

# A client's time limit passes on the world's clock, and a test waits this long for it.
IMPATIENCE_SECONDS = 0.02
# No request takes this long unless it is held, even on the slowest machine.
PATIENCE_SECONDS = 60
CONNECT_SECONDS = 10
CONNECTIONS = 64
_READS = ("Query", "Scan", "GetItem", "BatchGetItem", "GET ")
# The error codes of DynamoDB as in `fault_proxy`, and of SQS the same: botocore knows both.
_THROTTLES = {
    "sesv2": (429, json.dumps({"__type": "TooManyRequestsException", "message": "made by the test"}).encode()),
    "backup": (400, json.dumps({"__type": "ThrottlingException", "message": "made by the test"}).encode()),
}


class Killed(BaseException):
    """The function's process is gone. No handler of errors may stop it."""


class Fault(StrEnum):
    """A fault of one request."""

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


BREAKING = (Fault.CUT, Fault.CUT_AFTER, Fault.TORN)
WAITING = (Fault.HELD, Fault.HELD_AFTER, Fault.LATE)
KILLS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


@dataclass(frozen=True)
class Request:
    """The content of a request. `service`: `dynamodb`, `sqs`, `sesv2`, `backup`, or `endpoint` for a POST to a target.

    `on`: the table, index, queue or path, the expression of an update, and the state that it writes. Requests that are
    equal are alike.
    """

    service: str
    operation: str
    on: str = ""

    @property
    def is_read(self) -> bool:
        return self.operation.startswith(_READS)


@dataclass(frozen=True)
class Crossing:
    """A request on its way out. `number` counts calls, of which botocore makes several tries: `attempt`, from 0."""

    number: int
    attempt: int
    function: str
    request: Request

    @property
    def service(self) -> str:
        return self.request.service

    @property
    def operation(self) -> str:
        return self.request.operation


@dataclass
class Boundary:
    """`choose` returns what is to happen to a request. `on_effect` gets each call that AWS has done, with its status.

    `now` is the world's clock, which `wait` moves on. `disturbed`: the number of kills and of faults of SQS, each
    of which may leave a copy of a message.
    """

    now: Callable[[], datetime]
    wait: Callable[[timedelta], None]
    choose: Callable[[Crossing], Fault | None] = lambda crossing: None
    on_effect: Callable[[Call, int], None] = lambda call, status: None
    calls: int = 0
    disturbed: int = 0
    function: str = ""
    _deadline: datetime | None = None
    _dead: bool = False
    _call: tuple[str, int] = ("", 0)
    _fault: Fault | None = None
    _late: list[Call] = field(default_factory=list)
    _handled: threading.Event = field(default_factory=threading.Event)

    def enter(self, function: str, deadline: datetime) -> None:
        """A function begins. It is stopped at the deadline."""
        self.function, self._deadline, self._dead = function, deadline, False

    def leave(self) -> None:
        """The function has ended in any way. Its requests that are in flight arrive."""
        self._arrive()
        self.function, self._deadline, self._dead = "", None, False

    def cross(self, request: Request, call_id: str) -> Fault | None:
        """Return what is to happen to this request. Raise `Killed` for a function that is stopped here, or was before.

        Nothing happens to the requests of the test itself, which no function makes.
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
        self._fault = self.choose(Crossing(self.calls - 1, self._call[1], self.function, request))
        self.disturbed += self._fault in KILLS or (self._fault is not None and request.service == "sqs")
        if self._fault is Fault.KILLED_BEFORE:
            self.kill()
        self._handled.clear()
        return self._fault

    def kill(self) -> None:
        """End the function's process with all of its threads."""
        self._dead = True
        raise Killed

    def gave_up(self, after: timedelta) -> None:
        """The client has waited long enough. AWS handles its request before the next one comes."""
        self._handled.wait(PATIENCE_SECONDS)
        self.wait(after)

    def answer(self, service: str, call: Call) -> Answer | Broken:
        """Answer as the proxy of the service."""
        try:
            return self._answer(service, call)
        finally:
            self._handled.set()

    def _answer(self, service: str, call: Call) -> Answer | Broken:
        match self._fault:
            case Fault.ERROR:
                return internal_server_error()
            case Fault.THROTTLED:
                return _THROTTLES.get(service) or throttled()
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
    """The session through which a botocore client sends its requests to a proxy, across the boundary.

    `gives_up_after`: the client's time limit.
    """

    def __init__(
        self, boundary: Callable[[], Boundary], service: str, proxy: FaultProxy, gives_up_after: timedelta
    ) -> None:
        self._boundary, self._service, self._proxy = boundary, service, proxy
        self._gives_up_after = gives_up_after
        # As in botocore: otherwise the second packet of a request waits until the first is acknowledged.
        at_once = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        self._patient, self._impatient = (
            URLLib3Session(timeout=(CONNECT_SECONDS, seconds), socket_options=at_once, max_pool_connections=CONNECTIONS)
            for seconds in (PATIENCE_SECONDS, IMPATIENCE_SECONDS)
        )

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        boundary = self._boundary()
        # The id is the same for each try of a call.
        fault = boundary.cross(_request(self._service, request), _header(request, "amz-sdk-invocation-id"))
        if fault in WAITING:
            try:
                return self._impatient.send(request)
            finally:
                boundary.gave_up(self._gives_up_after)
        response = self._patient.send(request) if fault in BREAKING else self._send_directly(request)
        if fault is Fault.KILLED_AFTER:
            boundary.kill()
        return response

    def _send_directly(self, request: AWSPreparedRequest) -> AWSResponse:
        url = urlsplit(request.url)
        path = f"{url.path}?{url.query}" if url.query else url.path
        headers = {name: _header(request, name) for name in request.headers}
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answer = self._proxy.take(request.method, path, headers, body)
        assert not isinstance(answer, Broken), "this needs a connection"
        status, content = answer
        return AWSResponse(request.url, status, headers_of(content), SimpleNamespace(stream=lambda: iter([content])))

    def close(self) -> None:
        self._patient.close()
        self._impatient.close()


def _request(service: str, request: AWSPreparedRequest) -> Request:
    target = _header(request, "X-Amz-Target")
    if not target:
        return Request(service, f"{request.method} {urlsplit(request.url).path}")
    return Request(service, target.rpartition(".")[2], _on(json.loads(request.body or b"{}")))


def _on(parameters: Mapping[str, Any]) -> str:
    match parameters:
        case {"TransactItems": items}:
            return "; ".join(_on(one) for item in items for one in item.values())
        case {"RequestItems": tables}:
            return ", ".join(tables)
    names = ("TableName", "IndexName", "QueueUrl", "UpdateExpression", "ConditionExpression")
    # A delivery's state decides what follows.
    state = parameters.get("ExpressionAttributeValues", {}).get(":state", {}).get("S")
    return " ".join([parameters[name] for name in names if name in parameters] + ([state] if state else []))


def _header(request: AWSPreparedRequest, name: str) -> str:
    value: Any = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else value
