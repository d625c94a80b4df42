"""The check of a target's URL by its text alone, and its one spelling."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from backup_webhooks.events.errors import InvalidTarget

MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def parse_target_url(url: str) -> Url:
    """Return the parts of the URL. Raise `InvalidTarget` if a target may not have it.

    `address_guard` checks the addresses of the host when it is dialled. The dialler uses the same parser, so that the
    checked host and the called host cannot differ.
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
        # Browsers read it as a slash, RFC 3986 parsers do not, so a URL could show one host and call another.
        raise InvalidTarget("targetUri", "a backslash is not allowed")
    if _STRAY_PERCENT.search(url):
        raise InvalidTarget("targetUri", "a % must be followed by two hexadecimal digits; a plain one is written %25")
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise InvalidTarget("targetUri", "not a URL; an example is https://hooks.example.com/backups") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidTarget("targetUri", "must begin with https:// or http://")
    # urllib3 does not report empty userinfo.
    if parts.auth is not None or "@" in urlsplit(url).netloc:
        raise InvalidTarget("targetUri", "user name and password in the URL are not allowed")
    if not parts.host:
        raise InvalidTarget("targetUri", "the host is missing")
    if parts.port == 0:
        raise InvalidTarget("targetUri", "port 0 is not allowed; 1 to 65535 are")
    return parts


def normalised(url: str) -> str:
    """Return the URL as it is stored (RFC 3986, 6.2): without default port and fragment. Raise `InvalidTarget`.

    The parser writes scheme, host and percent-encoded octets in one case, and takes dot segments out of the path.
    """
    parts = parse_target_url(url)
    port = None if parts.port == DEFAULT_PORTS[str(parts.scheme)] else parts.port
    return parts._replace(port=port, fragment=None).url


def url_key(url: str) -> str:
    """Return the same text for each spelling of the URL: as it is stored, and with the root for an empty path."""
    parts = parse_target_url(normalised(url))
    return parts._replace(path=parts.path or "/").url
