"""AWS's names and ARNs within the bounds of the messages: `Identifier` is at most 200 characters, `Name` 500. Pure."""

from __future__ import annotations

import hashlib
import re

_LONGEST_IDENTIFIER, _LONGEST_NAME = 200, 500
_DIGEST = 16
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def identifier(text: str) -> str:
    """The text; one that is too long is cut, and ends in a hash of the whole, so that two stay two."""
    clean = _UNPRINTABLE.sub("?", text)
    if len(clean) <= _LONGEST_IDENTIFIER:
        return clean
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{clean[: _LONGEST_IDENTIFIER - _DIGEST - 1]}~{digest}"


def name(text: str) -> str:
    """The text, cut to what a name may have."""
    return _UNPRINTABLE.sub("?", text)[:_LONGEST_NAME]


def server(resource_arn: str, resource_name: str | None) -> str:
    """How a resource is called as a server: `web01 (arn:…)`, or its ARN alone where it has no name or too long a one.

    Names come first, as the page searches servers by how they begin. AWS's are not unique, hence the ARN.
    """
    if not resource_name:
        return identifier(resource_arn)
    both = _UNPRINTABLE.sub("?", f"{resource_name} ({resource_arn})")
    return both if len(both) <= _LONGEST_IDENTIFIER else identifier(resource_arn)
