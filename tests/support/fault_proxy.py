"""A proxy in front of an AWS endpoint, which handles each call as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from zlib import crc32

import urllib3

from local.quiet_server import QuietServer

type Answer = tuple[int, bytes]
# An AWS service in this process. It takes operation, parameters and the request's headers, and returns the answer.
type Service = Callable[[str, dict[str, Any], Mapping[str, str]], Answer]
# Headers that belong to one connection, or that the proxy writes itself.
_OWN = {"connection", "content-length", "transfer-encoding", "date", "server", "x-amz-crc32"}


@dataclass(frozen=True)
class Call:
    """One call: `operation`, such as `UpdateItem`, and its parameters, which a test may change.

    For a service without a JSON protocol the operation is method and path, such as `GET /backup-jobs?maxResults=9`.
    `repeated`: botocore makes it again, as one before it failed or was slow.
    """

    operation: str
    parameters: dict[str, Any]
    repeated: bool
    forward: Callable[[], Answer]


@dataclass(frozen=True)
class Broken:
    """Ends the connection: after half of `answer`, or without one. If `held`, it ends when the client has gone."""

    answer: Answer | None = None
    held: bool = False


def internal_server_error() -> Answer:
    return 500, json.dumps({"__type": "InternalServerError", "message": "made by the test"}).encode()


def throttled() -> Answer:
    kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return 400, json.dumps({"__type": kind, "message": "made by the test"}).encode()


def _at(url: str) -> Service:
    pool = urllib3.PoolManager(retries=False, maxsize=20)

    def service(operation: str, parameters: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        method, _, path = operation.rpartition(" ")
        body = json.dumps(parameters).encode() if parameters or not method else b""
        response = pool.request(method or "POST", f"{url}{path if method else ''}", body=body, headers=headers)
        if method and (kind := response.headers.get("x-amzn-errortype")):
            # An answer here has no headers. botocore finds the error in the body too.
            return response.status, json.dumps(response.json() | {"__type": kind}).encode()
        return response.status, response.data

    return service


def headers_of(content: bytes) -> dict[str, str]:
    """Return the headers of an answer, with DynamoDB's checksum of it."""
    return {
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(content)),
        "x-amz-crc32": str(crc32(content)),
    }


class FaultProxy:
    """Forwards to `upstream`, a URL or a service, unless `behaviour` answers. `behaviour` may call `call.forward()`."""

    def __init__(self, upstream: str | Service) -> None:
        self.behaviour: Callable[[Call], Answer | Broken] = lambda call: call.forward()
        self.calls: list[Call] = []
        self._service = _at(upstream) if isinstance(upstream, str) else upstream
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                answer = proxy.take(self.command, self.path, dict(self.headers.items()), body)
                if isinstance(answer, Broken):
                    self._break_off(answer)
                else:
                    self._say(*answer)

            do_GET = do_POST

            def _say(self, status: int, content: bytes, cut_to: int | None = None) -> None:
                self.send_response(status)
                for header in headers_of(content).items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(content[:cut_to])

            def _break_off(self, broken: Broken) -> None:
                self.close_connection = True
                if broken.answer:
                    self._say(*broken.answer, cut_to=len(broken.answer[1]) // 2)
                if broken.held:
                    self.connection.recv(1)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | Broken:
        """Return what becomes of a request, whether it came over the network or not."""
        headers = {name.lower(): value for name, value in headers.items() if name.lower() not in _OWN}
        target = headers.get("x-amz-target")
        operation = target.rpartition(".")[2] if target else f"{method} {path}"
        parameters = json.loads(body or b"{}")
        repeated = "attempt=1;" not in f"{headers.get('amz-sdk-request', 'attempt=1')};"
        call = Call(operation, parameters, repeated, lambda: self._service(operation, parameters, headers))
        self.calls.append(call)
        return self.behaviour(call)

    def __enter__(self) -> Self:
        # A short interval ends it quickly, as tests make many.
        serve = partial(self._server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
