"""The HTTP server of the local stack's own endpoints."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """An HTTP server with a thread per connection, which ignores clients that disconnect."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless the client has disconnected before its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
