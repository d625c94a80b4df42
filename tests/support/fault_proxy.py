"""A proxy in front of an AWS endpoint that does to each call what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

import urllib3

from local.quiet_server import QuietServer

type Answer = tuple[int, bytes]
# Headers that belong to one connection, or that the proxy writes itself.
_OWN = {"connection", "content-length", "transfer-encoding", "date", "server", "x-amz-crc32"}


@dataclass(frozen=True)
class Call:
    """One call of a JSON protocol service: `operation` such as `UpdateItem`, and its parameters, a test may change."""

    operation: str
    parameters: dict[str, Any]
    forward: Callable[[], Answer]


def internal_server_error() -> Answer:
    return 500, json.dumps({"__type": "InternalServerError", "message": "made by the test"}).encode()


def throttled() -> Answer:
    kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return 400, json.dumps({"__type": kind, "message": "made by the test"}).encode()


class FaultProxy:
    """Forwards to `upstream`, unless `behaviour` (which may call `call.forward()`) answers otherwise."""

    def __init__(self, upstream: str) -> None:
        self.behaviour: Callable[[Call], Answer] = lambda call: call.forward()
        self.calls: list[Call] = []
        pool = urllib3.PoolManager(retries=False, maxsize=20)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
                operation = self.headers["x-amz-target"].rpartition(".")[2]
                parameters = json.loads(body)

                def forward() -> Answer:
                    response = pool.request("POST", upstream, body=json.dumps(parameters).encode(), headers=headers)
                    return response.status, response.data

                call = Call(operation, parameters, forward)
                proxy.calls.append(call)
                status, answer = proxy.behaviour(call)
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
