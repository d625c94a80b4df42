"""The words of e-mail about backups, the same in HTML, in plain text and in the subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState

# As on the page "Webhooks".
EVENT_LABELS: Mapping[EventType, str] = {
    EventType.FAILURE: "Backup Failure",
    EventType.PARTIAL_SUCCESS: "Backup Partial Success",
    EventType.MISSING: "Missing Backups",
    EventType.SUCCESS: "Backup Success",
    EventType.RECOVERED: "Backup Recovered",
}


class Tone(StrEnum):
    """How words are coloured; what they say must be clear without it."""

    GOOD = "g"
    SLOW = "s"
    BAD = "b"
    PLAIN = "o"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a single character stands for."""

    character: str
    words: str
    tone: Tone


SUCCEEDED = Mark("✓", "all succeeded", Tone.GOOD)
PARTIAL = Mark("!", "partly succeeded", Tone.SLOW)
FAILED = Mark("✕", "failed", Tone.BAD)
MISSED = Mark("M", "missed", Tone.BAD)
NOTHING = Mark("\u2013", "none completed", Tone.PLAIN)
LEGEND: Sequence[Mark] = (SUCCEEDED, PARTIAL, FAILED, MISSED, NOTHING)

# As on the page "Servers".
STATES: Mapping[ServerState, tuple[str, Tone]] = {
    ServerState.OK: ("OK", Tone.GOOD),
    ServerState.PARTIAL: ("Partial", Tone.SLOW),
    ServerState.FAILED: ("Failed", Tone.BAD),
    ServerState.CANCELLED: ("Cancelled", Tone.PLAIN),
    ServerState.LATE: ("Late", Tone.SLOW),
    ServerState.MISSED: ("Missed", Tone.BAD),
    ServerState.INACTIVE: ("Inactive", Tone.PLAIN),
    ServerState.UNKNOWN: ("No backup yet", Tone.PLAIN),
}


def worst(results: DayCounts) -> Mark:
    """The worst that became of a day's backups."""
    if results.missed:
        return MISSED
    if results.failed:
        return FAILED
    if results.partial_success:
        return PARTIAL
    return SUCCEEDED if results.success else NOTHING


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 server`, `1,250 servers`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def in_words(results: DayCounts) -> str:
    """`1 failed, 2 succeeded`; `none completed`."""
    counts = (
        (results.failed, "failed"),
        (results.missed, "missed"),
        (results.partial_success, "partly succeeded"),
        (results.success, "succeeded"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in counts if count) or NOTHING.words


def day_words(timestamp: datetime, zone: tzinfo = UTC) -> str:
    """`Wed 25 Nov 2026`, the day in that zone."""
    there = timestamp.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b} {there.year}"


def clock_words(timestamp: datetime, zone: tzinfo, year: int) -> str:
    """`Wed 25 Nov, 03:12` in that zone, with the year where it is another than `year`."""
    there = timestamp.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b}{'' if there.year == year else f' {there.year}'}, {there:%H:%M}"


def exact_words(timestamp: datetime, zone: tzinfo) -> str:
    """`2026-11-25 03:12:07`, the time in that zone, in the form that the notifications have."""
    return f"{timestamp.astimezone(zone):%Y-%m-%d %H:%M:%S}"
