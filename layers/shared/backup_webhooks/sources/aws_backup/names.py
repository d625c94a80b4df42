"""Cuts AWS's names and ARNs to the limits of messages: `Identifier` has 200 characters at most, `Name` 500. Pure."""

from __future__ import annotations

import hashlib
import re

_LONGEST_IDENTIFIER, _LONGEST_NAME = 200, 500
_DIGEST = 16
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def identifier(text: str) -> str:
    """Return the text. If it is too long, cut it and end it with a hash of the whole, so that it stays unique."""
    clean = _UNPRINTABLE.sub("?", text)
    if len(clean) <= _LONGEST_IDENTIFIER:
        return clean
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{clean[: _LONGEST_IDENTIFIER - _DIGEST - 1]}~{digest}"


def name(text: str) -> str:
    """Return the text, cut to the length of a name."""
    return _UNPRINTABLE.sub("?", text)[:_LONGEST_NAME]


def server_id(resource_arn: str, resource_name: str | None) -> str:
    """Return `web01 (arn:…)`, or the ARN alone if the resource has no name or both are too long.

    The name comes first because the page searches servers by their beginnings. The ARN follows because AWS's names are
    not unique.
    """
    if not resource_name:
        return identifier(resource_arn)
    both = _UNPRINTABLE.sub("?", f"{resource_name} ({resource_arn})")
    return both if len(both) <= _LONGEST_IDENTIFIER else identifier(resource_arn)
