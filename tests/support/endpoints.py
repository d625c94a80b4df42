"""Endpoints that misbehave: each is a function that handles a connection over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

import trustme

type Behaviour = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Endpoint:
    """Runs `behaviour` in a thread for each connection to 127.0.0.1, and closes the connection afterwards.

    `connections` counts the connections. A behaviour that still runs when the endpoint ends is stopped.
    """

    def __init__(self, behaviour: Behaviour, host: str = "127.0.0.1", port: int = 0) -> None:
        self.connections = 0
        self._behaviour = behaviour
        self._listener = socket.create_server((host, port), backlog=128)
        self._open: list[socket.socket] = []
        self.host, self.port = self._listener.getsockname()
        self.url = f"http://{self.host}:{self.port}/backups"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="endpoint", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=[connection], name="connection", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._behaviour(connection)


class Witness:
    """Waits until an endpoint reaches a point in its own thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def saw(self, patience_seconds: float = 20) -> bool:
        return self._event.wait(patience_seconds)

    def note(self) -> None:
        self._event.set()


def read_request(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Return the head (with its blank line) and the body of the next request, or None if the client has gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := connection.recv(65536)):
            return None
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n", body


def answering(answer: bytes) -> Behaviour:
    """Answer one request, and close the connection."""

    def behaviour(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return behaviour


def keeping_alive(connection: socket.socket) -> None:
    """Answer every request with 200."""
    while read_request(connection):
        connection.sendall(OK)


def hanging_after(beginning: bytes) -> Behaviour:
    """Begin an answer, and then send nothing more while the client stays."""

    def behaviour(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(beginning)
        while connection.recv(65536):
            pass

    return behaviour


def resetting_after(beginning: bytes) -> Behaviour:
    """Begin an answer, and then reset the connection."""

    def behaviour(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(beginning)
        # Time for the client to read what came.
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behaviour


class Endless:
    """Sends `beginning` and then `piece` after `piece`, far longer than a client should read.

    `cut` is set if the client closes the connection before all `pieces` are sent. `sent` counts the bytes.
    """

    def __init__(
        self, beginning: bytes, piece: bytes, pieces: int, *, pause_seconds: float = 0, after_request: bool = True
    ) -> None:
        self.cut = Witness()
        self.sent = 0
        self._beginning, self._piece, self._pieces = beginning, piece, pieces
        self._pause, self._after_request = pause_seconds, after_request

    def __call__(self, connection: socket.socket) -> None:
        try:
            if self._after_request:
                read_request(connection)
            connection.sendall(self._beginning)
            for _ in range(self._pieces):
                connection.sendall(self._piece)
                self.sent += len(self._piece)
                time.sleep(self._pause)
        except OSError:
            self.cut.note()


def dripping(beginning: bytes, seconds: int = 60) -> Endless:
    """Send one byte a second, by default for six times as long as a client should read."""
    return Endless(beginning, b"x", seconds, pause_seconds=1)


def dripping_and_hanging(beginning: bytes) -> Behaviour:
    """Drip for a while, and then hang: a client with a full time limit for each byte waits too long."""

    def behaviour(connection: socket.socket) -> None:
        dripping(beginning, seconds=6)(connection)
        connection.recv(65536)

    return behaviour


def serving_with(certificate: trustme.CA | trustme.LeafCert) -> ssl.SSLContext:
    """Return a server's TLS context. An authority serves with its own self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if isinstance(certificate, trustme.LeafCert):
        certificate.configure_cert(context)
        return context
    with certificate.cert_pem.tempfile() as path, certificate.private_key_pem.tempfile() as key:
        context.load_cert_chain(path, key)
    return context


def over_tls(behaviour: Behaviour, server: ssl.SSLContext) -> Behaviour:
    """Return the same behaviour behind a TLS handshake."""

    def handshaking(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secured:
            behaviour(secured)

    return handshaking


@contextlib.contextmanager
def unresponsive_address(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port that neither accepts nor refuses a connection, because its queue is full. Linux only."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port of 127.0.0.1 that refuses connections, and that no other process can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def free_port() -> int:
    """Return a port of 127.0.0.1 that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
