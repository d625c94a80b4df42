"""Logs: what a backup says of itself, as text that can be kept, sent on and shown."""

from __future__ import annotations

import re
from typing import Self

KEPT_BYTES = 4096
# The end of what comes; the rest of many MiB is not even looked at.
_LOOKED_AT_BYTES = 64 * 1024
_LINE_ENDS = re.compile(r"\r\n?")
# All control characters but line feed and tab, and what SQS takes none of.
_DROPPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_CUT_HERE = "…"


class BackupOutput(str):
    """A log of at most 4 KiB in UTF-8: printable characters, line feeds and tabs.

    Of more the end is kept, which has the error, behind a `…`. Empty where nothing of it could be used.
    """

    __slots__ = ()

    @classmethod
    def of(cls, content: object) -> Self:
        """What can be kept of bytes (UTF-8; what is none becomes U+FFFD) or of text; nothing of anything else.

        Never raises: nobody is to miss word of a failure for what stands in its log.
        """
        if isinstance(content, str):
            content = content.encode(errors="replace")
        if not isinstance(content, bytes):
            return cls()
        seen = _end(content, _LOOKED_AT_BYTES)
        text = _DROPPED.sub("", _LINE_ENDS.sub("\n", seen.decode(errors="replace"))).strip("\n")
        kept = text.encode()
        if len(seen) == len(content) and len(kept) <= KEPT_BYTES:
            return cls(text)
        return cls(_CUT_HERE + _end(kept, KEPT_BYTES - len(_CUT_HERE.encode())).decode())


def _end(data: bytes, most: int) -> bytes:
    """The last so many bytes, from the beginning of a character on."""
    return data if len(data) <= most else data[-most:].lstrip(_CONTINUATION_BYTES)
