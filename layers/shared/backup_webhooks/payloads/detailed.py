"""The format `detailed`, for programs: the FAQ's `text`, and its facts in separate fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupUnfinished,
    Event,
)
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format
from backup_webhooks.payloads.facts import Facts
from backup_webhooks.payloads.text import text, text_of_all, utc_text


def payload(event: Event) -> dict[str, str | int | float]:
    """Return `text`, the facts of design section 4, and the backup output if there is one.

    Dates that `text` has are as there; all others are ISO 8601.
    """
    facts: dict[str, str | int | float] = {
        "text": text(event),
        "event": str(event.event_type),
        "account": event.account_alias,
        "server": event.server_id,
        "serverPolicyId": event.server_policy_id,
        "accountPolicyName": event.account_policy_name,
        "accountPolicyId": event.account_policy_id,
        "storageRegion": event.storage_region,
    }
    match event:
        case BackupFinished():
            if event.output:
                facts["log"] = str(event.output)
            facts |= {
                "status": str(event.restore_point_creation_status),
                "restorePointId": event.restore_point_id,
                "startedDate": iso_milliseconds(event.backup_started_date),
                "finishedDate": utc_text(event.backup_finished_date),
            }
        case BackupRecovered():
            facts |= {
                "restorePointId": event.restore_point_id,
                "finishedDate": utc_text(event.backup_finished_date),
                "failingSinceDate": utc_text(event.failing_since_date),
                "failed": event.failed,
                "partlySucceeded": event.partly_succeeded,
                "missed": event.missed,
                "unfinished": event.unfinished,
                "stale": event.stale,
            }
        case BackupMissed():
            facts["expectedDate"] = iso_milliseconds(event.expected_date)
        case BackupUnfinished():
            facts |= {
                "startedDate": iso_milliseconds(event.backup_started_date),
                "runLimitDate": iso_milliseconds(event.run_limit_date),
            }
            if event.restore_point_id:
                facts["restorePointId"] = event.restore_point_id
        case BackupStale():
            facts |= {
                "sinceDate": iso_milliseconds(event.since_date),
                "ageLimitDate": iso_milliseconds(event.age_limit_date),
            }
    return facts | Facts.of(event).fields()


def grouped(events: Sequence[Event]) -> dict[str, Any]:
    """Return several events of one account, each as `payload` makes it."""
    return {
        "text": text_of_all(events),
        "account": events[0].account_alias,
        "count": len(events),
        "backups": list(map(payload, events)),
    }


FORMAT = Format(payload, grouped)
