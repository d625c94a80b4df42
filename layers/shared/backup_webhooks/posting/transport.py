"""urllib3 connections for endpoints that nobody vouches for: checked addresses, and time limits that hold.

urllib3's own limits are a socket's: each read may take as long again, and names are resolved out of its sight. Here
every timeout that urllib3 sets is a deadline for all that follows until the next one is set, and the address that was
checked is the one that is dialled.
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

# It logs the URLs of answers that it can't parse, with what strangers sent: a URL may be the secret, as Slack's is.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

# Servers close idle connections after 5 s (Apache, Node) or later, and a function may sleep for minutes between two
# invocations. A request sent into a closing connection would be a failed attempt at a healthy endpoint.
MAX_IDLE_SECONDS = 4.0
# Targets whose connections are kept, and connections kept for each.
_POOLS, _CONNECTIONS_A_POOL = 100, 10


# All that is ever received in one exchange, head included. http.client alone would take 100 header lines of 64 KiB,
# and of a chunk whose size it reads as -1, everything.
MAX_RECEIVED_BYTES = 128 * 1024


class AnswerTooLong(OSError):
    """The peer sent more than `MAX_RECEIVED_BYTES` in one exchange."""


class DeadlineSocket(socket.socket):
    """A socket whose timeout bounds the sum of all operations until it is set anew, and with them what is received."""

    _deadline: float | None = None
    _may_receive = 0

    def settimeout(self, value: float | None, /) -> None:
        self._deadline = None if value is None else time.monotonic() + value
        self._may_receive = MAX_RECEIVED_BYTES
        super().settimeout(value)

    def _arm(self) -> None:
        if self._deadline is not None:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            super().settimeout(remaining)

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._arm()
        if self._may_receive <= 0:
            raise AnswerTooLong
        received = super().recv_into(*args, **options)
        self._may_receive -= received
        return received

    def send(self, *args: Any, **options: Any) -> int:
        self._arm()
        return super().send(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self._arm()
        super().sendall(*args, **options)


class DeadlineTLSSocket(DeadlineSocket, ssl.SSLSocket):
    """The same over TLS; the handshake is bounded as a whole by OpenSSL's side of CPython."""


type Dial = Callable[[HTTPConnection], socket.socket]
type MakeTLS = Callable[[], ssl.SSLContext]


def dial(
    connection: HTTPConnection, *, resolver: Resolver, check: Callable[[Sequence[Address]], None]
) -> socket.socket:
    """Resolve, check every answer, and connect to the first that can be reached, all within `connection.timeout`.

    Raises what `check` raises, and urllib3's NameResolutionError, ConnectTimeoutError, NewConnectionError.
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
            # A share of what is left, so that a dead first address leaves time for the others.
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


class _Guarded(HTTPConnection):
    """Dials as told, and counts as dropped after a while of silence."""

    _last_request: float = 0.0

    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial(self)

    def request(self, *args: Any, **options: Any) -> None:
        # The wall clock: a function's monotonic clock may stand still while it is frozen.
        self._last_request = time.time()
        super().request(*args, **options)

    @property
    def is_connected(self) -> bool:
        return 0 <= time.time() - self._last_request < MAX_IDLE_SECONDS and super().is_connected


class _GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    pass


class _GuardedHTTPPool(HTTPConnectionPool):
    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        self.ConnectionCls = partial(_Guarded, dial=dial)  # type: ignore[assignment]
        super().__init__(*args, **options)


class _GuardedHTTPSPool(HTTPSConnectionPool):
    def __init__(self, *args: Any, dial: Dial, tls: MakeTLS, **options: Any) -> None:
        self.ConnectionCls = partial(_GuardedHTTPSConnection, dial=dial)  # type: ignore[assignment]
        super().__init__(*args, ssl_context=tls(), **options)


def guarded_pool_manager(dial: Dial, make_tls: MakeTLS) -> PoolManager:
    """A PoolManager whose connections are made by `dial` and keep their deadlines.

    What `make_tls` makes, once, is for https. To read the system's certificates takes 20 ms: as much as a fifth of a
    cold start, and an environment may end without a notification.
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
