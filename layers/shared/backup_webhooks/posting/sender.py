"""One HTTP POST to one target, within the limits of design section 5, and what came of it.

Nothing here repeats, follows or unpacks anything, and nothing raises for what an endpoint does: every end of an
exchange is an `AttemptResult` with a reason that may be shown to the customer.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from functools import partial
from http.client import HTTPException, RemoteDisconnected

from msgspec import Struct
from msgspec.structs import replace
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as Urllib3TimeoutError,
)
from urllib3.response import BaseHTTPResponse

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.posting import address_guard
from backup_webhooks.posting.address_guard import Address, Resolver, TargetRefused
from backup_webhooks.posting.target_url import parse_target_url
from backup_webhooks.posting.transport import MAX_RECEIVED_BYTES, AnswerTooLong, MakeTLS, dial, guarded_pool_manager

CONNECT_SECONDS = 5
EXCHANGE_SECONDS = 10
MAX_RESPONSE_BYTES = 4096
MAX_RETRY_AFTER = 64


class AttemptResult(Struct, frozen=True):
    """What came of one POST.

    `status`: the HTTP status, None where no answer came. `reason`: why it failed, or a remark on a success; None
    where there is nothing to say. `response`: the first bytes of the answer's body, as sent, at most 4 KiB.
    `retry_after`: the answer's `Retry-After`, as sent, of which nobody has made sense yet.
    """

    status: int | None
    reason: str | None
    response: bytes
    milliseconds: int
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint took the notification: any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class Sender:
    """Posts to targets. Made once and shared by threads; keeps connections between calls.

    `allow_private_targets` takes away the address guard (local stacks only). `resolver` and `make_tls` are for tests.
    """

    def __init__(
        self,
        *,
        allow_private_targets: bool = False,
        resolver: Resolver = address_guard.resolve,
        make_tls: MakeTLS = ssl.create_default_context,
        limits: Timeout | None = None,
    ) -> None:
        check = _allow_all if allow_private_targets else address_guard.check
        self._pools: PoolManager = guarded_pool_manager(partial(dial, resolver=resolver, check=check), make_tls)
        self._limits = limits or Timeout(connect=CONNECT_SECONDS, total=EXCHANGE_SECONDS)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> AttemptResult:
        """Make the one attempt; returns within 10 s whatever the endpoint does."""
        started = time.monotonic()
        attempt = self._exchange(url, body, headers)
        return replace(attempt, milliseconds=round((time.monotonic() - started) * 1000))

    def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> AttemptResult:
        try:
            parse_target_url(url)
            response = self._pools.urlopen(
                "POST",
                url,
                body=body,
                headers=headers,
                timeout=self._limits,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (InvalidTarget, TargetRefused, HTTPError) as error:
            return AttemptResult(None, _reason(error), b"", 0)
        retry_after = response.headers.get("retry-after", "")[:MAX_RETRY_AFTER] or None
        content, cut = _read(response)
        return AttemptResult(response.status, _remark(response.status, cut), content, 0, retry_after)


def _allow_all(_: Sequence[Address]) -> None:
    pass


def _read(response: BaseHTTPResponse) -> tuple[bytes, str | None]:
    """The beginning of the body as it is on the wire, and why it ended early if it did.

    A body that ends within the limit leaves its connection for the next POST; any other closes it.
    """
    # Even unasked to decode, urllib3 refuses a body that names too many encodings.
    response.headers.discard("content-encoding")
    try:
        return response.read(MAX_RESPONSE_BYTES, decode_content=False), None
    except (HTTPError, ValueError) as error:
        # ValueError: http.client's, of a chunk whose size is negative.
        return b"", _reason(error)
    finally:
        response.close()


def _remark(status: int, cut: str | None) -> str | None:
    # The head of the answer decides: a 2xx whose body then hangs was still a receipt.
    if 200 <= status < 300:  # noqa: PLR2004
        return cut and f"answered {status}; its body did not end: {cut}"
    if 300 <= status < 400:  # noqa: PLR2004
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _reason(error: Exception) -> str:
    """Why an exchange failed, in words that tell the customer all about the endpoint and nothing about our network."""
    # From the special to the general: in urllib3 a NewConnectionError is a ConnectTimeoutError.
    match error:
        case InvalidTarget():
            return str(error)
        case TargetRefused():
            return "refused: the target's host leads to an address that is not on the public internet"
        case NameResolutionError():
            return "the target's host name could not be resolved"
        case NewConnectionError():
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            return "connection refused" if refused else "no connection could be made"
        case ConnectTimeoutError():
            return f"no connection within {CONNECT_SECONDS} s"
        case Urllib3TimeoutError():
            return f"no complete answer in time ({CONNECT_SECONDS} s to connect, {EXCHANGE_SECONDS} s in all)"
        case SSLError():
            return _tls_reason(error.args[0] if error.args else None)
        case ProtocolError():
            return _protocol_reason(error.args[-1] if error.args else None)
        case InvalidHeader() | ValueError():
            return "the answer is not valid HTTP"
        case _:
            return "the exchange failed"


def _tls_reason(cause: object) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not valid: {cause.verify_message}"
    return "TLS: no secure connection could be agreed"


def _protocol_reason(cause: object) -> str:
    match cause:
        case TimeoutError():
            return f"no complete answer in time ({CONNECT_SECONDS} s to connect, {EXCHANGE_SECONDS} s in all)"
        case RemoteDisconnected():
            return "the connection was closed without an answer"
        case AnswerTooLong():
            return f"the answer is longer than {MAX_RECEIVED_BYTES // 1024} KiB"
        case ConnectionError():
            return "the connection was cut"
        case HTTPException():
            return "the answer is not valid HTTP"
        case _:
            return "the exchange was broken off"
