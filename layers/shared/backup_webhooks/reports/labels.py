"""Words of e-mail about backups, the same in HTML, in plain text and in the subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState


class Tone(StrEnum):
    """The colour of words. Their meaning must be clear without it."""

    GOOD = "g"
    SLOW = "s"
    BAD = "b"
    PLAIN = "o"


@dataclass(frozen=True, slots=True)
class Mark:
    """A single character, and the words for it."""

    character: str
    words: str
    tone: Tone


SUCCEEDED = Mark("✓", "all succeeded", Tone.GOOD)
PARTIAL = Mark("!", "partly succeeded", Tone.SLOW)
FAILED = Mark("✕", "failed", Tone.BAD)
MISSED = Mark("M", "missed", Tone.BAD)
UNFINISHED = Mark("U", "unfinished", Tone.BAD)
NONE_COMPLETED = Mark("\u2013", "none completed", Tone.PLAIN)
LEGEND: Sequence[Mark] = (SUCCEEDED, PARTIAL, FAILED, MISSED, UNFINISHED, NONE_COMPLETED)

# As on the page "Servers".
STATES: Mapping[ServerState, tuple[str, Tone]] = {
    ServerState.OK: ("OK", Tone.GOOD),
    ServerState.PARTIAL: ("Partial", Tone.SLOW),
    ServerState.FAILED: ("Failed", Tone.BAD),
    ServerState.CANCELLED: ("Cancelled", Tone.PLAIN),
    ServerState.LATE: ("Late", Tone.SLOW),
    ServerState.RUNNING: ("Running", Tone.PLAIN),
    ServerState.MISSED: ("Missed", Tone.BAD),
    ServerState.UNFINISHED: ("Unfinished", Tone.BAD),
    ServerState.STALE: ("Stale", Tone.BAD),
    ServerState.UNWATCHED: ("Not watched", Tone.PLAIN),
    ServerState.INACTIVE: ("Inactive", Tone.PLAIN),
    ServerState.UNKNOWN: ("No backup yet", Tone.PLAIN),
}


def worst_mark(results: DayCounts) -> Mark:
    """Return the mark of the worst result."""
    if results.unfinished:
        return UNFINISHED
    if results.missed:
        return MISSED
    if results.failed:
        return FAILED
    if results.partial_success:
        return PARTIAL
    return SUCCEEDED if results.success else NONE_COMPLETED


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return `1 server`, `1,250 servers`; without `plural`, the singular with an s."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def result_words(results: DayCounts) -> str:
    """Return `1 failed, 2 succeeded`, or `none completed`."""
    counts = (
        (results.failed, "failed"),
        (results.missed, "missed"),
        (results.unfinished, "unfinished"),
        (results.partial_success, "partly succeeded"),
        (results.success, "succeeded"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in counts if count) or NONE_COMPLETED.words


def day_words(timestamp: datetime, zone: tzinfo = UTC) -> str:
    """Return the day in that zone: `Wed 25 Nov 2026`."""
    local = timestamp.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b} {local.year}"


def clock_words(timestamp: datetime, zone: tzinfo, year: int) -> str:
    """Return the time in that zone: `Wed 25 Nov, 03:12`, with the year unless it is `year`."""
    local = timestamp.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b}{'' if local.year == year else f' {local.year}'}, {local:%H:%M}"


def exact_words(timestamp: datetime, zone: tzinfo) -> str:
    """Return the time in that zone, in the form of the webhook payloads: `2026-11-25 03:12:07`."""
    return f"{timestamp.astimezone(zone):%Y-%m-%d %H:%M:%S}"
