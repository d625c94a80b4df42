"""The HTTP server of the local stack's own endpoints."""

from __future__ import annotations

import socket
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """An HTTP server with a thread per connection, which ignores clients that disconnect."""

    daemon_threads = True
    request_queue_size = 128

    def start(self, name: str, notices_end_within: float = 0.05) -> None:
        """Serve in a thread of that name until `stop`, which returns within so many seconds."""
        serve = partial(self.serve_forever, poll_interval=notices_end_within)
        threading.Thread(target=serve, name=name, daemon=True).start()

    def stop(self) -> None:
        """End the thread, and close the socket."""
        self.shutdown()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return the next connection, whose packets are sent at once.

        A handler writes head and body apart, and the system would keep the body back until the client's system has
        acknowledged the head, up to 40 ms later.
        """
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless the client has disconnected before its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
