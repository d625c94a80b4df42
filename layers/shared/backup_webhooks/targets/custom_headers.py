"""Headers that a customer adds to a target's posts, such as `authorization`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backup_webhooks.events.errors import InvalidTarget

MOST_HEADERS = 10
LONGEST_NAME, LONGEST_VALUE = 100, 500
# RFC 9110: a token.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Printable ASCII, no space at either end: all receivers read it alike, and it cannot begin another header.
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
# RFC 9110, 7.6.1, and older ones; then the headers by which a request is framed, routed or answered.
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"}
_RESERVED = _HOP_BY_HOP | {"host", "expect", "user-agent", "accept-encoding"}
_RESERVED_PREFIXES = ("content-", "proxy-", "webhook-")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `InvalidTarget`, whose field names the header, for a header that cannot be added to a post."""
    if len(headers) > MOST_HEADERS:
        raise InvalidTarget("headers", f"at most {MOST_HEADERS} are allowed")
    seen = set()
    for name, value in headers.items():
        # The error never holds the value, which may be a secret.
        field = f"headers[{name[:LONGEST_NAME]!a}]"
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            raise InvalidTarget(field, f"a name is 1 to {LONGEST_NAME} letters, digits and !#$%&'*+-.^_`|~")
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
            raise InvalidTarget(
                field,
                "not allowed; nor are the headers of a connection, host, expect, accept-encoding, user-agent, "
                "and any that begins with content-, proxy- or webhook-",
            )
        if name.lower() in seen:
            raise InvalidTarget(field, "given twice; upper and lower case make no difference")
        if not _VALUE.fullmatch(value) or len(value) > LONGEST_VALUE:
            raise InvalidTarget(
                field, f"a value is 1 to {LONGEST_VALUE} printable ASCII characters, without space at its ends"
            )
        seen.add(name.lower())
