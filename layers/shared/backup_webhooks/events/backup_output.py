"""Backup output: the end of what a backup printed, as text that can be stored, sent and shown."""

from __future__ import annotations

import re
from typing import Self

KEPT_BYTES = 4096
# Only the end is decoded, because a sender may send many MiB.
_DECODED_BYTES = 64 * 1024
_LINE_ENDS = re.compile(r"\r\n?")
# All control characters except line feed and tab, and the characters that SQS refuses.
_DROPPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_ELLIPSIS = "…"


class BackupOutput(str):
    """At most 4 KiB of UTF-8: printable characters, line feeds and tabs; empty if nothing was usable.

    Longer output keeps its end after a `…`, because the error is there.
    """

    __slots__ = ()

    @classmethod
    def of(cls, content: object) -> Self:
        """Return the end of text or of UTF-8 bytes, with U+FFFD for invalid bytes; empty for any other type.

        It never raises, because no output may stop the report of a failure.
        """
        if isinstance(content, str):
            content = content.encode(errors="replace")
        if not isinstance(content, bytes):
            return cls()
        end = _end(content, _DECODED_BYTES)
        text = _DROPPED.sub("", _LINE_ENDS.sub("\n", end.decode(errors="replace"))).strip("\n")
        kept = text.encode()
        if len(end) == len(content) and len(kept) <= KEPT_BYTES:
            return cls(text)
        return cls(_ELLIPSIS + _end(kept, KEPT_BYTES - len(_ELLIPSIS.encode())).decode())


def _end(data: bytes, most: int) -> bytes:
    """Return at most the last `most` bytes, from the start of a character."""
    return data if len(data) <= most else data[-most:].lstrip(_CONTINUATION_BYTES)
