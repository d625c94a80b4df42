"""A customer's endpoint for the demo and the tests: it keeps each post, and calls a function for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from local.quiet_server import QuietServer


@dataclass(frozen=True)
class Post:
    """A request that was received. `received_at` is in seconds since the epoch."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float


type Answer = int | tuple[int, Mapping[str, str]] | tuple[int, Mapping[str, str], bytes] | None


class Receiver:
    """An endpoint that keeps each POST in `posts`, in the order of arrival.

    `on_post` returns the answer: a status, or a status with headers and a body (default `ok`), or None for 200.
    """

    def __init__(
        self, on_post: Callable[[Post], Answer] = lambda post: None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.posts: list[Post] = []
        self.on_post = on_post
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                post = Post(self.path, headers, body, time.time())
                receiver.posts.append(post)
                answer = receiver.on_post(post) or 200
                status, extra, *rest = (answer, {}) if isinstance(answer, int) else answer
                content = rest[0] if rest else b"ok"
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = QuietServer((host, port), Handler)
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        # Tests make many receivers, so each must notice its end at once.
        self._server.start("receiver", notices_end_within=0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
