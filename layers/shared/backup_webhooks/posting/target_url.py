"""Which URLs a target may have, judged by their text alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from backup_webhooks.events.errors import InvalidTarget

MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_target_url(url: str) -> Url:
    """The parts of a URL that a target may have, or `InvalidTarget`.

    Looks at the text alone. Where the host's name leads is judged when it is dialled (`address_guard`), by the
    same parser, so that what is checked and what is called can't differ.
    """
    if len(url) > MAX_URL_LENGTH:
        raise InvalidTarget("targetUri", f"at most {MAX_URL_LENGTH} characters are allowed")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidTarget(
            "targetUri",
            "only printable ASCII is allowed; percent-encode other characters, "
            "and write an international domain name in its xn-- form",
        )
    if "\\" in url:
        # Browsers read it as a slash, RFC 3986 parsers do not: a way to show one host and call another.
        raise InvalidTarget("targetUri", "a backslash is not allowed")
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise InvalidTarget("targetUri", "not a URL; an example is https://hooks.example.com/backups") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidTarget("targetUri", "must begin with https:// or http://")
    # urllib3 sees no userinfo where it is empty.
    if parts.auth is not None or "@" in urlsplit(url).netloc:
        raise InvalidTarget("targetUri", "user name and password in the URL are not allowed")
    if not parts.host:
        raise InvalidTarget("targetUri", "the host is missing")
    if parts.port == 0:
        raise InvalidTarget("targetUri", "port 0 is not allowed; 1 to 65535 are")
    return parts
