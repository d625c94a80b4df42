"""The format `text`, the default: the FAQ's object with the single key `text`, which chats such as Slack show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupUnfinished,
    Event,
    EventType,
)
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format

# Slack cuts a text after 40,000 characters (docs.slack.dev, "chat.postMessage").
_LONGEST_TEXT = 30_000
_VERBS: Mapping[EventType | None, str] = {
    EventType.FAILURE: "failed",
    EventType.PARTIAL_SUCCESS: "partly succeeded",
    EventType.MISSING: "missed",
    EventType.SUCCESS: "succeeded",
    EventType.RECOVERED: "recovered",
    EventType.UNFINISHED: "unfinished",
    EventType.STALE: "stale",
}


def payload(event: Event) -> dict[str, str]:
    """Return `{"text": …}`, exactly as in the FAQ's example payloads (design section 3)."""
    return {"text": text(event)}


def text(event: Event) -> str:
    """Return the event's sentence, which richer formats carry too."""
    match event:
        case BackupFinished():
            return (
                f"Status: {event.restore_point_creation_status}  -  Account: {event.account_alias}"
                f"  -  Server: {event.server_id}  -  Account Policy Name: {event.account_policy_name}"
                f"  -  Restore Point Id: {event.restore_point_id}"
                f"  -  Finished Date/Time: {utc_text(event.backup_finished_date)}"
            )
        case BackupRecovered():
            return (
                f"{event.server_id} recovered with restore point [{event.restore_point_id}]"
                f" at {utc_text(event.backup_finished_date)} for policy [{event.account_policy_name}]"
                f" with server policy id [{event.server_policy_id}], after {trouble_words(event)}"
                f" since {utc_text(event.failing_since_date)}"
            )
        case BackupMissed():
            found = f"missed a backup expected at {iso_milliseconds(event.expected_date)}"
        case BackupUnfinished():
            found = f"has not finished a backup started at {iso_milliseconds(event.backup_started_date)}"
        case BackupStale():
            found = f"has had no successful backup since {iso_milliseconds(event.since_date)}"
    return (
        f"{event.server_id} {found} for policy [{event.account_policy_name}]"
        f" with server policy id [{event.server_policy_id}] and storage region [{event.storage_region}]"
    )


def grouped(events: Sequence[Event]) -> dict[str, str]:
    """Return `{"text": …}` of several events: their number, and a line with the sentence of each."""
    return {"text": text_of_all(events)}


def text_of_all(events: Sequence[Event]) -> str:
    """Return the lines of several events. The last line counts the events that exceed the limit."""
    lines, length = [": ".join(group_headline(events))], 0
    for position, event in enumerate(events):
        sentence = text(event)
        length += len(sentence) + 1
        if length > _LONGEST_TEXT:
            lines.append(f"and {len(events) - position:,} more")
            break
        lines.append(sentence)
    return "\n".join(lines)


def group_headline(events: Sequence[Event]) -> tuple[str, str]:
    """Return title and subject of a group: `100 backups missed`, `account ACME`."""
    verb = _VERBS[events[0].event_type]
    return f"{len(events):,} backups {verb}", f"account {events[0].account_alias}"


def trouble_words(event: BackupRecovered) -> str:
    """Return how many backups went wrong in which way, such as `2 failed, 1 missed and 1 unfinished backups`."""
    counts = {
        "failed": event.failed,
        "partly succeeded": event.partly_succeeded,
        "missed": event.missed,
        "unfinished": event.unfinished,
        "stale": event.stale,
    }
    *others, last = [f"{count} {verb}" for verb, count in counts.items() if count]
    words = f"{', '.join(others)} and {last}" if others else last
    return f"{words} backup{'' if sum(counts.values()) == 1 else 's'}"


def utc_text(timestamp: datetime) -> str:
    """Return the time in UTC, cut to the second, such as `2018-12-20 01:39:38 UTC`."""
    return f"{timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


FORMAT = Format(payload, grouped)
