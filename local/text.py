"""Text for people: tables and times."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime

from backup_webhooks.events.timestamps import Timestamp


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the rows in columns; an empty cell for None."""
    lines = [header, *(["-" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def minute(timestamp: datetime | None) -> str | None:
    """`2018-12-20 01:39 UTC`."""
    return f"{timestamp:%Y-%m-%d %H:%M} UTC" if timestamp else None


def moment_argument(text: str) -> datetime:
    """An argument of a command that is a time."""
    try:
        return Timestamp.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
