"""The format `detailed`, for programs: the FAQ's `text`, and its facts in separate fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_webhooks.events.messages import BackupFinished, BackupRecovered, Event
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format
from backup_webhooks.payloads.text import text, text_of_all, utc_text


def payload(event: Event) -> dict[str, str | int]:
    """Return `text`, the fields of design section 3, and the backup output if there is one. Dates are as in `text`."""
    facts: dict[str, str | int] = {
        "text": text(event),
        "account": event.account_alias,
        "server": event.server_id,
        "serverPolicyId": event.server_policy_id,
        "accountPolicyName": event.account_policy_name,
        "accountPolicyId": event.account_policy_id,
    }
    if isinstance(event, BackupFinished):
        if event.output:
            facts["log"] = str(event.output)
        return facts | {
            "status": str(event.restore_point_creation_status),
            "restorePointId": event.restore_point_id,
            "finishedDate": utc_text(event.backup_finished_date),
        }
    if isinstance(event, BackupRecovered):
        return facts | {
            "restorePointId": event.restore_point_id,
            "finishedDate": utc_text(event.backup_finished_date),
            "failingSinceDate": utc_text(event.failing_since_date),
            "failed": event.failed,
            "missed": event.missed,
        }
    return facts | {"expectedDate": iso_milliseconds(event.expected_date)}


def grouped(events: Sequence[Event]) -> dict[str, Any]:
    """Return several events of one account, each as `payload` makes it."""
    return {
        "text": text_of_all(events),
        "account": events[0].account_alias,
        "count": len(events),
        "backups": list(map(payload, events)),
    }


FORMAT = Format(payload, grouped)
