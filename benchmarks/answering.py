"""An HTTP server in a process of its own that costs next to nothing: a customer's endpoint, or AWS as it was recorded.

`python -m benchmarks.answering '{"milliseconds": 50, "answers": {"UpdateItem": "{}"}, "tell": false}'` prints its port.
After that many milliseconds it answers each request: a call of AWS's JSON protocols with the answer for its operation,
any other with `ok`. `tell`: it prints a JSON line for each, `[seconds since the epoch, body]`, as it comes.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import zlib
from collections.abc import Mapping

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OPERATION = re.compile(rb"\r\nx-amz-target: *[\w.]*?(\w+)\r\n", re.IGNORECASE)
_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nx-amz-crc32: {}\r\n\r\n"


class _Answering(asyncio.Protocol):
    def __init__(self, seconds: float, answers: Mapping[bytes, bytes], tell: bool) -> None:
        self._seconds, self._answers, self._tell = seconds, answers, tell
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            if self._tell:
                print(json.dumps([time.time(), body.decode()]), flush=True)
            operation = _OPERATION.search(head)
            answer = self._answers[operation[1] if operation else b""]
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, answer)


def _answer(body: bytes) -> bytes:
    return _HEAD.format(len(body), zlib.crc32(body)).encode() + body


async def _serve(milliseconds: float, answers: Mapping[str, str], tell: bool) -> None:
    ready = {operation.encode(): _answer(body.encode()) for operation, body in answers.items()} | {b"": _answer(b"ok")}
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answering(milliseconds / 1000, ready, tell), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(**json.loads(sys.argv[1])))
