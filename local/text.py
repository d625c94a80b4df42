"""Tables and times of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime

from backup_webhooks.events.timestamps import Timestamp


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the rows in columns, with `-` for None."""
    lines = [header, *(["-" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def minute(timestamp: datetime | None) -> str | None:
    """Return a time in UTC as text such as `2018-12-20 01:39 UTC`, or None for None."""
    return f"{timestamp:%Y-%m-%d %H:%M} UTC" if timestamp else None


def timestamp_argument(text: str) -> datetime:
    """Return the timestamp that a command's argument holds. Raise `ArgumentTypeError` if it holds none."""
    try:
        return Timestamp.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
