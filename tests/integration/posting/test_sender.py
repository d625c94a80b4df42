"""One POST to untrusted endpoints: its result, its cost, and the addresses that it may reach."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import trustme
import urllib3
from backup_webhooks import __version__
from backup_webhooks.posting.address_guard import Address, Resolver, TargetRefused, check, resolve
from backup_webhooks.posting.sender import MAX_RESPONSE_BYTES, AttemptResult, Sender
from pytest_socket import SocketConnectBlockedError

from local.receiver import Receiver
from tests.support.endpoints import (
    OK,
    Behaviour,
    Endless,
    Endpoint,
    Witness,
    answering,
    free_port,
    hanging_after,
    keeping_alive,
    over_tls,
    read_request,
    resetting_after,
    unresponsive_address,
)

# A connection to any other machine is an error that no code under test handles.
pytestmark = pytest.mark.allow_hosts(["127.0.0.0/8", "::1"])

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's loopback network and accept queue")

BODY = b'{"text":"Status: FAILED"}'
HEADERS = {
    "content-type": "application/json",
    "user-agent": f"SimpleBackupWebhooks/{__version__}",
    "webhook-id": "msg_5e0c",
    "webhook-timestamp": "1545325206",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
PUBLIC = "93.184.216.34"
SHORT_SECONDS = 0.3
SHORT = urllib3.Timeout(connect=SHORT_SECONDS, total=SHORT_SECONDS)
# A sender's own default, made once because reading all authorities is slow.
DEFAULT_TLS = ssl.create_default_context()
# The least number of pieces that a dripping endpoint sends: they last far longer than any limit here.
DRIPS, PAUSE_SECONDS = 6000, 0.01

CLOSED = "the connection was closed without an answer"
CUT = "the connection was cut"
NO_ANSWER = "no complete answer in time (5 s to connect, 10 s in all)"
NO_CONNECTION = "no connection within 5 s"
NOT_HTTP = "the answer is not valid HTTP"
NOT_RESOLVED = "the target's host name could not be resolved"
REFUSED = "refused: the target's host leads to an address that is not on the public internet"

# Text that would reveal this service's network or code: addresses, and the words of exceptions.
INTERNALS = re.compile(
    r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*::[0-9a-f]+|Traceback|getaddrinfo|errno|\w*(Error|Exception|Warning)\b"
    r"|urllib3|RemoteDisconnected|TargetRefused|IncompleteRead|BadStatusLine|LineTooLong|_ssl|0x[0-9a-f]",
    re.IGNORECASE,
)


def local_sender(
    *, limits: urllib3.Timeout | None = None, resolver: Resolver = resolve, tls: ssl.SSLContext | None = None
) -> Sender:
    """Return a sender that may post to 127.0.0.1."""
    return Sender(allow_private_targets=True, limits=limits, resolver=resolver, make_tls=lambda: tls or DEFAULT_TLS)


def post(
    url: str, sender: Sender | None = None, body: bytes = BODY, headers: Mapping[str, str] = HEADERS
) -> AttemptResult:
    """Return the result of one attempt, after the checks that apply to each result."""
    attempt = (sender or local_sender()).post(url, body, headers)
    assert attempt.reason is None or not INTERNALS.search(attempt.reason), attempt.reason
    assert len(attempt.reason or "") < 200
    assert len(attempt.response) <= MAX_RESPONSE_BYTES
    assert attempt.milliseconds >= 0
    assert attempt.delivered == (attempt.status in range(200, 300))
    return attempt


def attempt_at(behaviour: Behaviour, limits: urllib3.Timeout | None = None) -> AttemptResult:
    with Endpoint(behaviour) as endpoint:
        return post(endpoint.url, local_sender(limits=limits))


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def ipv4(*addresses: str) -> Sequence[Address]:
    return [(socket.AF_INET, address) for address in addresses]


class Names:
    """A resolver that gives its answers in order, repeats the last one, and records the questions."""

    def __init__(self, *answers: Sequence[Address]) -> None:
        self.questions: list[tuple[str, int]] = []
        self._answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.questions.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class TestTheRequest:
    def test_the_body_arrives_byte_for_byte(self) -> None:
        body = bytes(range(256)) * 1000

        with Receiver() as receiver:
            assert post(f"{receiver.url}/backups?a=b", body=body).delivered

        assert [received.body for received in receiver.posts] == [body]
        assert receiver.posts[0].path == "/backups?a=b"

    def test_the_headers_arrive_as_given_and_only_http_s_own_are_added(self) -> None:
        heads: list[bytes] = []

        def recording(connection: socket.socket) -> None:
            heads.append((read_request(connection) or (b"",))[0])
            connection.sendall(OK)

        with Endpoint(recording) as endpoint:
            assert post(endpoint.url).delivered

        request_line, *lines = heads[0].decode("ascii").rstrip().split("\r\n")
        assert request_line == "POST /backups HTTP/1.1"
        own = {"Host": f"127.0.0.1:{endpoint.port}", "Accept-Encoding": "identity", "Content-Length": str(len(BODY))}
        assert sorted(lines) == sorted(f"{name}: {value}" for name, value in (HEADERS | own).items())

    def test_an_empty_body_is_posted_too(self) -> None:
        with Receiver() as receiver:
            assert post(receiver.url, body=b"").delivered

        assert [received.body for received in receiver.posts] == [b""]

    def test_a_part_of_the_url_behind_a_hash_stays_here(self) -> None:
        with Receiver() as receiver:
            assert post(f"{receiver.url}/backups#secret").delivered

        assert receiver.posts[0].path == "/backups"

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "http://", "http://h:0/", ""])
    def test_a_url_that_can_be_no_target_is_not_posted_to(self, url: str) -> None:
        attempt = post(url)

        assert attempt.status is None
        assert str(attempt.reason).startswith("targetUri: ")


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "delivered", "reason"),
        [
            ("200 OK", True, None),
            ("201 Created", True, None),
            ("202 Accepted", True, None),
            ("204 No Content", True, None),
            ("299 Something Else", True, None),
            ("300 Multiple Choices", False, "answered 300: redirects are not followed"),
            ("304 Not Modified", False, "answered 304: redirects are not followed"),
            ("400 Bad Request", False, "answered 400"),
            ("401 Unauthorized", False, "answered 401"),
            ("404 Not Found", False, "answered 404"),
            ("407 Proxy Authentication Required", False, "answered 407"),
            ("408 Request Timeout", False, "answered 408"),
            ("410 Gone", False, "answered 410"),
            ("413 Content Too Large", False, "answered 413"),
            ("429 Too Many Requests", False, "answered 429"),
            ("500 Internal Server Error", False, "answered 500"),
            ("503 Service Unavailable", False, "answered 503"),
            ("999 Out Of Range", False, "answered 999"),
            ("101 Switching Protocols", False, "answered 101"),
        ],
    )
    def test_2xx_is_delivered_and_nothing_else_is(self, status: str, delivered: bool, reason: str | None) -> None:
        with Endpoint(answering(response(status, b"", "retry-after: 0"))) as endpoint:
            attempt = post(endpoint.url)

        assert (attempt.status, attempt.delivered, attempt.reason) == (int(status[:3]), delivered, reason)
        assert endpoint.connections == 1

    @pytest.mark.parametrize("status", [200, 404, 410, 500])
    def test_the_body_of_the_answer_is_kept_with_any_status(self, status: int) -> None:
        attempt = attempt_at(answering(response(f"{status} Whatever", b"caf\xc3\xa9 \xff\x00")))

        assert (attempt.status, attempt.response) == (status, b"caf\xc3\xa9 \xff\x00")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_a_failure_and_is_not_followed(self, status: int) -> None:
        with Endpoint(keeping_alive) as elsewhere:
            attempt = attempt_at(answering(response(f"{status} Elsewhere", b"", f"location: {elsewhere.url}")))

        assert attempt.reason == f"answered {status}: redirects are not followed"
        assert not attempt.delivered
        assert elsewhere.connections == 0

    def test_a_redirect_to_something_that_is_no_url_is_a_redirect_like_any(self) -> None:
        attempt = attempt_at(answering(response("302 Found", b"", "location: http://[bad")))

        assert attempt.reason == "answered 302: redirects are not followed"

    @pytest.mark.parametrize(
        ("answer", "status", "kept"),
        [
            pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello", id="HTTP/1.0 without a length"),
            pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", 200, b"", id="nothing behind the head"),
            pytest.param(b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b"", id="no reason phrase"),
            pytest.param(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, b"ok", id="bare newlines"),
            pytest.param(response("200 \xff\xfe", b"ok", "x-name: \xff\x80"), 200, b"ok", id="UTF-8 in headers"),
            pytest.param(
                b"HTTP/1.1 200 \xff\xfe\r\nx-\xe9: \xff\xfe\x80\r\ncontent-length: 2\r\n\r\nok",
                200,
                b"ok",
                id="headers that are not UTF-8",
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\nno header\r\n\r\nok", 200, b"ok", id="a line that is no header"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\na: b\r\n\r\n",
                200,
                b"hello",
                id="chunked with a trailer",
            ),
            pytest.param(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", id="100 and then 200"
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok", 200, b"ok", id="a length that is none"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nok", 200, b"ok", id="a negative length"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ncontent-length: %b\r\n\r\nok" % (b"9" * 5000), 200, b"ok", id="an endless length"
            ),
            pytest.param(
                response("200 OK", b"ok", "content-encoding: br, zstd, unheard-of"), 200, b"ok", id="unknown encoding"
            ),
        ],
    )
    def test_odd_but_valid_http_is_an_answer(self, answer: bytes, status: int, kept: bytes) -> None:
        attempt = attempt_at(answering(answer))

        assert (attempt.status, attempt.reason, attempt.response) == (status, None, kept)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"hello\r\n", id="a word"),
            pytest.param(b"\r\n\r\n", id="blank lines"),
            pytest.param(b"\x00" * 100_000, id="100,000 NUL"),
            pytest.param(bytes(range(256)) * 1000, id="all bytes"),
            pytest.param(b"\x15\x03\x01\x00\x02\x02\x16", id="a TLS alert"),
            pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="SSH"),
            pytest.param(b"220 mail.example.com ESMTP\r\n", id="SMTP"),
            pytest.param(b"HTTP/2 200 OK\r\n\r\n", id="HTTP/2"),
            pytest.param(b"HTTP/1.1 two hundred\r\n\r\n", id="a status in words"),
            pytest.param(b"HTTP/1.1 99 Too Low\r\n\r\n", id="a status of two digits"),
            pytest.param(b"HTTP/1.1 20000 Too High\r\n\r\n", id="a status of five digits"),
            pytest.param(b"HTTP/1.1 -20 Negative\r\n\r\n", id="a negative status"),
            pytest.param(b"HTTP/1.1 200 " + b"x" * 100_000, id="an endless status line"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000, id="an endless header"),
            pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n", id="100,000 headers"),
        ],
    )
    def test_anything_but_http_is_no_answer(self, answer: bytes) -> None:
        attempt = attempt_at(answering(answer))

        assert (attempt.status, attempt.reason, attempt.response) == (None, NOT_HTTP, b"")

    def test_an_answer_that_contradicts_itself_is_no_receipt(self) -> None:
        attempt = attempt_at(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"))

        assert (attempt.status, attempt.delivered) == (None, False)

    @pytest.mark.parametrize(
        "chunks", [b"zz\r\nhello", b"f" * 1000 + b"\r\nhello", b"\r\n", b"5\r\nhel", b"x" * 100_000]
    )
    def test_a_2xx_with_a_body_that_is_broken_is_delivered_with_a_remark(self, chunks: bytes) -> None:
        attempt = attempt_at(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks))

        assert (attempt.status, attempt.delivered) == (200, True)
        assert str(attempt.reason).startswith("answered 200; its body did not end: ")

    def test_a_negative_chunk_size_is_a_broken_body(self) -> None:
        attempt = attempt_at(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nhello"))

        assert attempt.status == 200


class TestLimitsOfTheAnswer:
    def test_4_kib_of_a_body_of_1_gib_are_read_and_the_connection_is_closed(self) -> None:
        body = Endless(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n", b"x" * 2**20, 2**10)

        attempt = attempt_at(body)

        assert (attempt.status, attempt.reason, attempt.response) == (200, None, b"x" * 4096)
        assert body.cut.saw()
        assert body.sent < 2**26

    def test_4_kib_of_a_chunk_of_1_gib_are_read_and_the_connection_is_closed(self) -> None:
        body = Endless(b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n40000000\r\n", b"x" * 2**20, 2**10)

        attempt = attempt_at(body)

        assert (attempt.status, attempt.response) == (500, b"x" * 4096)
        assert body.cut.saw()
        assert body.sent < 2**26

    def test_a_chunk_of_less_than_nothing_is_no_way_around_the_4_kib(self) -> None:
        body = Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", b"x" * 2**20, 64)

        attempt_at(body)

        assert body.cut.saw(patience_seconds=1)

    @pytest.mark.parametrize("length", [4095, 4096, 4097])
    def test_a_body_is_kept_up_to_4_kib(self, length: int) -> None:
        attempt = attempt_at(answering(response("200 OK", b"x" * length)))

        assert (attempt.reason, attempt.response) == (None, b"x" * min(length, 4096))

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "x-gzip"])
    def test_a_compressed_body_is_kept_as_it_is_on_the_wire(self, encoding: str) -> None:
        bomb = gzip.compress(bytes(20_000_000))

        attempt = attempt_at(answering(response("200 OK", bomb, f"content-encoding: {encoding}")))

        assert (attempt.reason, attempt.response) == (None, bomb[:4096])

    def test_a_body_that_claims_to_be_compressed_many_times_is_kept_as_it_is_on_the_wire(self) -> None:
        attempt = attempt_at(answering(response("200 OK", b"ok", "content-encoding: " + ", ".join(["gzip"] * 100))))

        assert (attempt.reason, attempt.response) == (None, b"ok")


class TestConnectionsThatFail:
    def test_a_port_without_a_listener(self) -> None:
        attempt = post(f"http://127.0.0.1:{free_port()}/")

        assert (attempt.status, attempt.reason, attempt.response) == (None, "connection refused", b"")

    @linux_only
    def test_an_address_that_answers_nothing(self) -> None:
        with unresponsive_address() as port:
            attempt = post(f"http://127.0.0.1:{port}/", local_sender(limits=SHORT))

        assert (attempt.status, attempt.reason) == (None, NO_CONNECTION)

    def test_an_endpoint_that_closes_at_once(self) -> None:
        attempt = attempt_at(lambda connection: None)

        assert attempt.status is None
        assert attempt.reason in (CLOSED, CUT)

    def test_an_endpoint_that_closes_after_the_request(self) -> None:
        attempt = attempt_at(answering(b""))

        assert (attempt.status, attempt.reason) == (None, CLOSED)

    def test_an_endpoint_that_resets_the_connection_before_its_answer(self) -> None:
        attempt = attempt_at(resetting_after(b""))

        assert (attempt.status, attempt.reason) == (None, CUT)

    def test_an_endpoint_that_resets_the_connection_in_its_headers(self) -> None:
        attempt = attempt_at(resetting_after(b"HTTP/1.1 200 OK\r\ncontent-le"))

        assert (attempt.status, attempt.reason) == (None, CUT)

    def test_an_endpoint_that_resets_the_connection_in_its_body_has_received(self) -> None:
        attempt = attempt_at(resetting_after(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello"))

        assert (attempt.status, attempt.reason) == (200, f"answered 200; its body did not end: {CUT}")

    def test_a_failure_is_not_tried_again(self) -> None:
        with Endpoint(answering(b"")) as endpoint:
            post(endpoint.url)

        assert endpoint.connections == 1


class TestDeadlines:
    @pytest.mark.parametrize(
        "beginning",
        [
            pytest.param(b"", id="before the answer"),
            pytest.param(b"HTTP/1.", id="in the status line"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-", id="in the headers"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", id="before the headers' end"),
            pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after 100 Continue"),
        ],
    )
    def test_an_endpoint_that_hangs_before_the_end_of_its_headers_is_cut(self, beginning: bytes) -> None:
        attempt = attempt_at(hanging_after(beginning), SHORT)

        assert (attempt.status, attempt.reason, attempt.response) == (None, NO_ANSWER, b"")

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            ("200 OK", f"answered 200; its body did not end: {NO_ANSWER}"),
            ("302 Found", "answered 302: redirects are not followed"),
            ("500 Oh", "answered 500"),
        ],
    )
    def test_an_endpoint_that_hangs_after_its_headers_is_cut_and_has_answered(self, status: str, reason: str) -> None:
        attempt = attempt_at(hanging_after(f"HTTP/1.1 {status}\r\ncontent-length: 9\r\n\r\nhello".encode()), SHORT)

        assert (attempt.status, attempt.reason) == (int(status[:3]), reason)

    @pytest.mark.parametrize(
        ("beginning", "piece", "status"),
        [
            pytest.param(b"", b"H", None, id="the status line"),
            pytest.param(b"HTTP/1.1 200 OK\r\nx: ", b"y", None, id="a header"),
            pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", None, id="100 Continue"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x", 200, id="a body"),
            pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 200, id="a body without a length"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 200, id="chunks of one byte"
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1", 200, id="a chunk's size"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n", 200, id="trailers"
            ),
        ],
    )
    def test_an_endpoint_that_drips_is_cut(self, beginning: bytes, piece: bytes, status: int | None) -> None:
        dripping = Endless(beginning, piece, DRIPS, pause_seconds=PAUSE_SECONDS)

        with Endpoint(dripping) as endpoint:
            attempt = post(endpoint.url, local_sender(limits=SHORT))
            assert dripping.cut.saw()

        assert attempt.status == status
        assert str(attempt.reason).endswith(NO_ANSWER)
        assert dripping.sent < len(piece) * DRIPS

    def test_100_continue_without_end_and_without_pause_is_cut(self) -> None:
        flood = Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 10**6)

        with Endpoint(flood) as endpoint:
            attempt = post(endpoint.url, local_sender())
            assert flood.cut.saw()

        assert (attempt.status, attempt.reason) == (None, "the answer is longer than 128 KiB")

    def test_an_endpoint_that_never_takes_the_request_is_cut(self) -> None:
        release = threading.Event()

        def deaf(connection: socket.socket) -> None:
            release.wait(60)

        with Endpoint(deaf) as endpoint:
            attempt = post(endpoint.url, local_sender(limits=SHORT), body=b"x" * 50_000_000)
            release.set()

        assert (attempt.status, attempt.reason) == (None, NO_ANSWER)


class TestConnectionsThatAreKept:
    def test_two_posts_use_one_connection(self) -> None:
        sender = local_sender()

        with Endpoint(keeping_alive) as endpoint:
            assert post(endpoint.url, sender).delivered
            assert post(endpoint.url, sender).delivered

        assert endpoint.connections == 1

    def test_a_connection_whose_body_of_chunks_has_ended_is_used_again(self) -> None:
        def chunked(connection: socket.socket) -> None:
            while read_request(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

        sender = local_sender()
        with Endpoint(chunked) as endpoint:
            assert [post(endpoint.url, sender).response for _ in range(3)] == [b"ok"] * 3

        assert endpoint.connections == 1

    def test_posts_from_threads_do_not_mix_their_answers(self) -> None:
        def echoing(connection: socket.socket) -> None:
            while request := read_request(connection):
                connection.sendall(response("200 OK", request[1]))

        sender = local_sender()
        answers: dict[bytes, bytes] = {}
        with Endpoint(echoing) as endpoint:

            def post_often(name: str) -> None:
                for number in range(20):
                    body = f"{name} {number}".encode()
                    answers[body] = post(endpoint.url, sender, body=body).response

            threads = [threading.Thread(target=post_often, args=[str(number)]) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert len(answers) == 160
        assert all(body == answer for body, answer in answers.items())

    def test_a_connection_that_was_idle_too_long_is_not_used_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sender = local_sender()

        with Endpoint(keeping_alive) as endpoint:
            assert post(endpoint.url, sender).delivered
            monkeypatch.setattr("backup_webhooks.posting.transport.MAX_IDLE_SECONDS", 0.0)
            assert post(endpoint.url, sender).delivered

        assert endpoint.connections == 2

    def test_an_endpoint_that_closes_after_its_answer_harms_no_next_post(self) -> None:
        closed = [Witness() for _ in range(5)]
        served = iter(closed)

        def closing(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(OK)
            connection.close()
            next(served).note()

        sender = local_sender()
        with Endpoint(closing) as endpoint:
            for witness in closed:
                assert post(endpoint.url, sender).delivered
                assert witness.saw()

        assert endpoint.connections == 5

    def test_an_endpoint_that_announces_its_close_harms_no_next_post(self) -> None:
        sender = local_sender()

        with Endpoint(answering(response("200 OK", b"ok", "connection: close"))) as endpoint:
            assert all(post(endpoint.url, sender).delivered for _ in range(10))

        assert endpoint.connections == 10

    @pytest.mark.parametrize(
        "beginning", [b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + b"x" * 5000, b"HTTP/1."]
    )
    def test_a_connection_whose_answer_has_not_ended_is_not_used_again(self, beginning: bytes) -> None:
        sender = local_sender(limits=SHORT)

        with Endpoint(hanging_after(beginning)) as endpoint:
            post(endpoint.url, sender)
            post(endpoint.url, sender)

        assert endpoint.connections == 2

    def test_an_unrequested_answer_is_not_taken_for_the_next_posts(self) -> None:
        unasked = Witness()

        def talkative(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(OK)
            connection.sendall(response("410 Gone"))
            unasked.note()
            keeping_alive(connection)

        sender = local_sender()
        with Endpoint(talkative) as endpoint:
            assert post(endpoint.url, sender).status == 200
            assert unasked.saw()
            assert post(endpoint.url, sender).status == 200

    def test_a_kept_connection_outlives_the_limit_of_the_post_before(self) -> None:
        sender = local_sender(limits=SHORT)

        with Endpoint(keeping_alive) as endpoint:
            assert post(endpoint.url, sender).delivered
            time.sleep(SHORT_SECONDS * 1.5)
            assert post(endpoint.url, sender).delivered

        assert endpoint.connections == 1


class TestTls:
    @pytest.fixture(scope="class")
    @staticmethod
    def authority() -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def trusting(self, authority: trustme.CA) -> ssl.SSLContext:
        """Return the TLS context of a client that trusts the authority."""
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    @staticmethod
    def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    @staticmethod
    def attempt_at(
        behaviour: Behaviour, tls: ssl.SSLContext | None = None, limits: urllib3.Timeout | None = None
    ) -> AttemptResult:
        with Endpoint(behaviour) as endpoint:
            sender = local_sender(tls=tls, limits=limits, resolver=Names(ipv4("127.0.0.1")))
            return post(f"https://hooks.example.com:{endpoint.port}/", sender)

    def test_a_good_certificate_is_taken(self, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
        server = self.serving(authority.issue_cert("hooks.example.com"))

        attempt = self.attempt_at(over_tls(answering(OK), server), trusting)

        assert (attempt.status, attempt.reason, attempt.response) == (200, None, b"ok")

    def test_two_posts_use_one_connection(self, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
        server = self.serving(authority.issue_cert("hooks.example.com"))
        names = Names(ipv4("127.0.0.1"))
        sender = local_sender(tls=trusting, resolver=names)

        with Endpoint(over_tls(keeping_alive, server)) as endpoint:
            assert post(f"https://hooks.example.com:{endpoint.port}/", sender).delivered
            assert post(f"https://hooks.example.com:{endpoint.port}/", sender).delivered

        assert endpoint.connections == len(names.questions) == 1

    def test_an_unknown_authority_is_refused(self, trusting: ssl.SSLContext) -> None:
        server = self.serving(trustme.CA().issue_cert("hooks.example.com"))

        attempt = self.attempt_at(over_tls(answering(OK), server), trusting)

        assert attempt.status is None
        assert str(attempt.reason).startswith("TLS: the certificate is not valid: unable to get local issuer")

    def test_an_authority_that_only_the_test_knows_is_refused_by_default(self, authority: trustme.CA) -> None:
        server = self.serving(authority.issue_cert("hooks.example.com"))

        with Endpoint(over_tls(answering(OK), server)) as endpoint:
            sender = Sender(allow_private_targets=True, resolver=Names(ipv4("127.0.0.1")))
            attempt = post(f"https://hooks.example.com:{endpoint.port}/", sender)

        assert str(attempt.reason).startswith("TLS: the certificate is not valid: ")

    def test_a_self_signed_certificate_is_refused(self, trusting: ssl.SSLContext) -> None:
        own = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with own.cert_pem.tempfile() as certificate, own.private_key_pem.tempfile() as key:
            server.load_cert_chain(certificate, key)

        attempt = self.attempt_at(over_tls(answering(OK), server), trusting)

        assert attempt.reason == "TLS: the certificate is not valid: self-signed certificate"

    def test_an_expired_certificate_is_refused(self, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
        now = datetime.now(UTC)
        expired = authority.issue_cert(
            "hooks.example.com", not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
        )

        attempt = self.attempt_at(over_tls(answering(OK), self.serving(expired)), trusting)

        assert attempt.reason == "TLS: the certificate is not valid: certificate has expired"

    def test_a_certificate_of_another_host_is_refused(self, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
        server = self.serving(authority.issue_cert("other.example.com"))

        attempt = self.attempt_at(over_tls(answering(OK), server), trusting)

        assert str(attempt.reason).startswith("TLS: the certificate is not valid: Hostname mismatch")

    def test_nothing_is_sent_to_an_endpoint_that_is_not_trusted(self, trusting: ssl.SSLContext) -> None:
        heard = Witness()

        def listening(connection: socket.socket) -> None:
            if read_request(connection):
                heard.note()

        self.attempt_at(over_tls(listening, self.serving(trustme.CA().issue_cert("hooks.example.com"))), trusting)

        assert not heard.saw(patience_seconds=0.1)

    def test_an_endpoint_that_speaks_plain_http_is_refused(self) -> None:
        def plain(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(OK)

        attempt = self.attempt_at(plain)

        assert (attempt.status, attempt.reason) == (None, "TLS: no secure connection could be agreed")

    def test_an_endpoint_that_closes_in_the_handshake_is_a_failure(self) -> None:
        def closing(connection: socket.socket) -> None:
            connection.recv(65536)

        attempt = self.attempt_at(closing)

        assert attempt.status is None
        assert attempt.reason

    def test_a_handshake_that_hangs_is_cut(self) -> None:
        closed = Witness()

        def silent(connection: socket.socket) -> None:
            while connection.recv(65536):
                pass
            closed.note()

        attempt = self.attempt_at(silent, limits=SHORT)

        assert (attempt.status, attempt.delivered) == (None, False)
        assert "in time" in str(attempt.reason)
        assert closed.saw()

    def test_a_handshake_that_drips_is_cut(self) -> None:
        # The header of a 16 KiB record, then its bytes one by one.
        dripping = Endless(b"\x16\x03\x03\x40\x00", b"\x02", DRIPS, pause_seconds=PAUSE_SECONDS, after_request=False)

        attempt = self.attempt_at(dripping, limits=SHORT)

        assert attempt.status is None
        assert dripping.cut.saw()

    @pytest.mark.parametrize(
        ("beginning", "status"), [(b"HTTP/1.1 200 OK\r\nx: ", None), (b"HTTP/1.1 200 OK\r\n\r\n", 200)]
    )
    def test_an_answer_that_drips_is_cut(
        self, authority: trustme.CA, trusting: ssl.SSLContext, beginning: bytes, status: int | None
    ) -> None:
        server = self.serving(authority.issue_cert("hooks.example.com"))
        dripping = Endless(beginning, b"x", DRIPS, pause_seconds=PAUSE_SECONDS)

        attempt = self.attempt_at(over_tls(dripping, server), trusting, SHORT)

        assert attempt.status == status
        assert str(attempt.reason).endswith(NO_ANSWER)
        assert dripping.cut.saw()


class TestTheAddressGuard:
    @pytest.fixture
    @staticmethod
    def endpoint() -> Iterator[Endpoint]:
        """Yield an endpoint on this machine, where no target may lead."""
        with Endpoint(keeping_alive) as endpoint:
            yield endpoint

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("addresses", [(PUBLIC, "127.0.0.1"), ("127.0.0.1", PUBLIC), ("127.0.0.1",)], ids=str)
    def test_a_name_with_one_private_address_is_refused_and_nothing_is_dialled(
        self, endpoint: Endpoint, scheme: str, addresses: tuple[str, ...]
    ) -> None:
        names = Names(ipv4(*addresses))

        attempt = post(f"{scheme}://hooks.example.com:{endpoint.port}/", Sender(resolver=names))

        assert (attempt.status, attempt.reason) == (None, REFUSED)
        assert endpoint.connections == 0
        assert names.questions == [("hooks.example.com", endpoint.port)]

    @pytest.mark.filterwarnings("ignore:A test tried to use socket.socket.connect")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_the_address_that_was_checked_is_the_one_that_is_dialled(self, endpoint: Endpoint, scheme: str) -> None:
        names = Names(ipv4(PUBLIC), ipv4("127.0.0.1"))

        with pytest.raises(SocketConnectBlockedError, match=re.escape(f'"{PUBLIC}"')):
            Sender(resolver=names).post(f"{scheme}://rebinding.example.com:{endpoint.port}/", BODY, HEADERS)

        assert len(names.questions) == 1
        assert endpoint.connections == 0

    def test_a_name_that_changed_since_the_last_connection_is_checked_again(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backup_webhooks.posting.transport.MAX_IDLE_SECONDS", 0.0)
        names = Names(ipv4("127.0.0.1"), ipv4("127.0.0.2"))
        sender = local_sender(resolver=names)
        url = f"http://rebinding.example.com:{endpoint.port}/"

        assert post(url, sender).delivered
        assert post(url, sender).reason in ("connection refused", "no connection could be made")
        assert len(names.questions) == 2

    def test_a_name_is_resolved_once_a_connection_and_not_for_each_post(self, endpoint: Endpoint) -> None:
        names = Names(ipv4("127.0.0.1"))
        sender = local_sender(resolver=names)

        for _ in range(3):
            assert post(f"http://hooks.example.com:{endpoint.port}/", sender).delivered

        assert len(names.questions) == endpoint.connections == 1

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",  # noqa: S104 - called, not listened on
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::1%25lo]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "[fe80::1]",
        ],
    )
    def test_every_way_to_write_an_address_of_ours_is_refused(self, endpoint: Endpoint, host: str) -> None:
        attempt = post(f"http://{host}:{endpoint.port}/", Sender())

        assert attempt.status is None
        # If the system cannot read a form, there is nothing to refuse.
        assert attempt.reason in (REFUSED, NOT_RESOLVED)
        assert endpoint.connections == 0

    @pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "::1", "0"])
    def test_the_systems_resolver_reads_these_as_this_machine_and_they_are_refused(self, host: str) -> None:
        addresses = resolve(host, 80)

        assert addresses
        with pytest.raises(TargetRefused):
            check(addresses)

    def test_a_resolver_that_hangs_is_cut_at_the_limit_of_connecting(self) -> None:
        release = threading.Event()

        def hanging(host: str, port: int) -> Sequence[Address]:
            release.wait(60)
            return ipv4(PUBLIC)

        sender = Sender(resolver=hanging, limits=urllib3.Timeout(connect=0.2, total=60))
        attempt = post("http://hooks.example.com/", sender)
        release.set()

        assert (attempt.status, attempt.reason) == (None, NO_CONNECTION)
        assert attempt.milliseconds < 30_000

    @pytest.mark.parametrize(
        "error",
        [
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            OSError(5, "getaddrinfo of 10.0.0.2 failed: [Errno 5]"),
            UnicodeError("label empty or too long"),
        ],
        ids=repr,
    )
    def test_a_resolver_that_fails_is_a_reason(self, error: Exception) -> None:
        def failing(host: str, port: int) -> Sequence[Address]:
            raise error

        attempt = post("http://hooks.example.com/", Sender(resolver=failing))

        assert (attempt.status, attempt.reason) == (None, NOT_RESOLVED)

    def test_a_name_without_addresses_is_a_reason(self) -> None:
        attempt = post("http://hooks.example.com/", Sender(resolver=Names([])))

        assert (attempt.status, attempt.reason) == (None, "no connection could be made")

    @pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "a" * 300])
    def test_a_name_that_can_be_none_is_a_reason(self, host: str) -> None:
        attempt = post(f"http://{host}/", Sender())

        assert (attempt.status, attempt.reason) == (None, NOT_RESOLVED)

    @linux_only
    def test_the_next_address_is_tried_if_the_first_refuses(self, endpoint: Endpoint) -> None:
        sender = local_sender(resolver=Names(ipv4("127.0.0.2", "127.0.0.1")))

        assert post(f"http://hooks.example.com:{endpoint.port}/", sender).delivered

    @linux_only
    def test_the_next_address_has_its_share_of_the_time_if_the_first_does_not_answer(self, endpoint: Endpoint) -> None:
        limits = urllib3.Timeout(connect=1, total=1)
        sender = local_sender(resolver=Names(ipv4("127.0.0.2", "127.0.0.1")), limits=limits)

        with unresponsive_address("127.0.0.2", endpoint.port):
            assert post(f"http://hooks.example.com:{endpoint.port}/", sender).delivered

        assert endpoint.connections == 1


def test_an_answer_that_cannot_be_parsed_is_not_logged_with_its_url(caplog: pytest.LogCaptureFixture) -> None:
    """At Slack and similar destinations the URL is the secret."""
    with Endpoint(answering(b"HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 0\r\n\r\n")) as endpoint:
        post(f"{endpoint.url}/services/T0/B0/s3cret")

    assert "s3cret" not in caplog.text
