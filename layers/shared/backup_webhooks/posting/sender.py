"""One HTTP POST to one target, within the limits of design section 5, and its result.

The sender does not retry, follow redirects or decompress. It raises for nothing that an endpoint does: each exchange
ends in an `AttemptResult`, whose reason the customer may see.
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
    """The result of one POST.

    `status`: the HTTP status, or None without an answer. `reason`: why the POST failed, or a remark on a success, or
    None. `response`: the first bytes of the answer's body, as sent, at most 4 KiB. `retry_after`: the answer's
    `Retry-After`, as sent and unparsed, or None.
    """

    status: int | None
    reason: str | None
    response: bytes
    milliseconds: int
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Return whether the endpoint took the POST: any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class Sender:
    """Posts to targets. One sender is shared by threads, and keeps connections between calls.

    `allow_private_targets` disables the address guard (local stacks only). `resolver`, `make_tls` and `limits` are for
    tests.
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
        """Return the result of one POST, within 10 s whatever the endpoint does."""
        started = time.monotonic()
        result = self._exchange(url, body, headers)
        return replace(result, milliseconds=round((time.monotonic() - started) * 1000))

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
    """Return the first bytes of the body as sent, and the reason if it ended early, else None.

    A body that ends within the limit leaves its connection to the next POST; a longer one closes it.
    """
    # urllib3 refuses a body that names too many encodings, even if it does not decode.
    response.headers.discard("content-encoding")
    try:
        return response.read(MAX_RESPONSE_BYTES, decode_content=False), None
    except (HTTPError, ValueError) as error:
        # http.client raises ValueError for a chunk with a negative size.
        return b"", _reason(error)
    finally:
        response.close()


def _remark(status: int, cut: str | None) -> str | None:
    # The status decides, so a 2xx whose body does not end is a success.
    if 200 <= status < 300:  # noqa: PLR2004
        return cut and f"answered {status}; its body did not end: {cut}"
    if 300 <= status < 400:  # noqa: PLR2004
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _reason(error: Exception) -> str:
    """Return why an exchange failed, with all facts about the endpoint and none about this service's network."""
    # Special errors come first: in urllib3 a NewConnectionError is a ConnectTimeoutError.
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
