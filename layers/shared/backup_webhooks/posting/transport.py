"""urllib3 connections to untrusted endpoints: checked addresses, and time limits that hold.

urllib3's own limits apply to each socket operation, so that each read may take the full time, and they exclude name
resolution. Here each timeout that urllib3 sets is a deadline for all operations until it sets the next one. The checked
address is the dialled one.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from backup_webhooks.posting.address_guard import Address, Resolver, resolve_within

# urllib3 logs the URLs of answers that it cannot parse, and their texts. A URL may be a secret, as Slack's is.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

# Servers close idle connections after 5 s (Apache, Node) or later, and a function may be frozen for minutes between two
# invocations. A request into a closing connection would be a failed attempt at a healthy endpoint.
MAX_IDLE_SECONDS = 4.0
# Targets whose connections are kept, and connections kept for each target.
_POOLS, _CONNECTIONS_A_POOL = 100, 10
# The limit of bytes received in one exchange, head included. http.client alone would take 100 header lines of 64 KiB,
# and any length of a chunk whose size it reads as -1.
MAX_RECEIVED_BYTES = 128 * 1024


class AnswerTooLong(OSError):
    """The peer sent more than `MAX_RECEIVED_BYTES` in one exchange."""


class DeadlineSocket(socket.socket):
    """A socket whose timeout limits all operations together until it is set again, and with them the bytes received."""

    _deadline: float | None = None
    _receivable_bytes = 0

    def settimeout(self, value: float | None, /) -> None:
        self._deadline = None if value is None else time.monotonic() + value
        self._receivable_bytes = MAX_RECEIVED_BYTES
        super().settimeout(value)

    def _apply_deadline(self) -> None:
        if self._deadline is not None:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            super().settimeout(remaining)

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._apply_deadline()
        if self._receivable_bytes <= 0:
            raise AnswerTooLong
        received = super().recv_into(*args, **options)
        self._receivable_bytes -= received
        return received

    def send(self, *args: Any, **options: Any) -> int:
        self._apply_deadline()
        return super().send(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self._apply_deadline()
        super().sendall(*args, **options)


class DeadlineTLSSocket(DeadlineSocket, ssl.SSLSocket):
    """A `DeadlineSocket` over TLS. CPython's `ssl` module limits the handshake as a whole."""


type Dial = Callable[[HTTPConnection], socket.socket]
type MakeTLS = Callable[[], ssl.SSLContext]


def dial(
    connection: HTTPConnection, *, resolver: Resolver, check: Callable[[Sequence[Address]], None]
) -> socket.socket:
    """Return a socket to the first address that can be reached, after a check of all, within `connection.timeout` s.

    Raise the errors of `check`, and urllib3's NameResolutionError, ConnectTimeoutError and NewConnectionError.
    """
    host, port, timeout = connection.host, connection.port, float(connection.timeout or 0)
    deadline = time.monotonic() + timeout
    try:
        addresses = resolve_within(timeout, resolver, host, port)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "the name was not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from error
    check(addresses)
    failure: OSError = OSError("the name has no address")
    for position, (family, address) in enumerate(addresses):
        sock = DeadlineSocket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Each address gets a share of the time left, so that a dead one leaves time for the others.
            sock.settimeout(max(deadline - time.monotonic(), 0.001) / (len(addresses) - position))
            sock.connect((address, port))
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            return sock
        except OSError as error:
            sock.close()
            failure = error
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, "no address answered in time") from failure
    raise NewConnectionError(connection, "no address could be connected to") from failure


class _GuardedHTTPConnection(HTTPConnection):
    """A connection made by `dial`, which counts as dropped after `MAX_IDLE_SECONDS`."""

    _last_request: float = 0.0

    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial(self)

    def request(self, *args: Any, **options: Any) -> None:
        # Wall-clock time, because a function's monotonic clock may stop while the function is frozen.
        self._last_request = time.time()
        super().request(*args, **options)

    @property
    def is_connected(self) -> bool:
        return 0 <= time.time() - self._last_request < MAX_IDLE_SECONDS and super().is_connected


class _GuardedHTTPSConnection(_GuardedHTTPConnection, HTTPSConnection):
    pass


class _GuardedHTTPPool(HTTPConnectionPool):
    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        self.ConnectionCls = partial(_GuardedHTTPConnection, dial=dial)  # type: ignore[assignment]
        super().__init__(*args, **options)


class _GuardedHTTPSPool(HTTPSConnectionPool):
    def __init__(self, *args: Any, dial: Dial, tls: MakeTLS, **options: Any) -> None:
        self.ConnectionCls = partial(_GuardedHTTPSConnection, dial=dial)  # type: ignore[assignment]
        super().__init__(*args, ssl_context=tls(), **options)


def guarded_pool_manager(dial: Dial, make_tls: MakeTLS) -> PoolManager:
    """Return a PoolManager whose connections are made by `dial` and keep their deadlines.

    `make_tls` makes the context for https, once, at the first https connection. To read the system's certificates takes
    20 ms, up to a fifth of a cold start, and an environment may end without a POST.
    """

    @cache
    def tls() -> ssl.SSLContext:
        context = make_tls()
        context.sslsocket_class = DeadlineTLSSocket
        return context

    manager = PoolManager(num_pools=_POOLS, maxsize=_CONNECTIONS_A_POOL)
    manager.pool_classes_by_scheme = {
        "http": partial(_GuardedHTTPPool, dial=dial),  # type: ignore[dict-item]
        "https": partial(_GuardedHTTPSPool, dial=dial, tls=tls),  # type: ignore[dict-item]
    }
    return manager
