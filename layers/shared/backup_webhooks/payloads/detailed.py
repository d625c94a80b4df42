"""The format `detailed`: the FAQ's `text`, and its facts in fields of their own, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_webhooks.events.messages import BackupFinished, BackupRecovered, Notice
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format
from backup_webhooks.payloads.text import finished_date, text, text_of_all


def payload(notice: Notice) -> dict[str, str | int]:
    """`text` and the fields of design section 3, and a log where the notice has one; dates as `text` writes them."""
    facts: dict[str, str | int] = {
        "text": text(notice),
        "account": notice.account_alias,
        "server": notice.server_id,
        "serverPolicyId": notice.server_policy_id,
        "accountPolicyName": notice.account_policy_name,
        "accountPolicyId": notice.account_policy_id,
    }
    if isinstance(notice, BackupFinished):
        if notice.log:
            facts["log"] = str(notice.log)
        return facts | {
            "status": str(notice.restore_point_creation_status),
            "restorePointId": notice.restore_point_id,
            "finishedDate": finished_date(notice.backup_finished_date),
        }
    if isinstance(notice, BackupRecovered):
        return facts | {
            "restorePointId": notice.restore_point_id,
            "finishedDate": finished_date(notice.backup_finished_date),
            "failingSinceDate": finished_date(notice.failing_since_date),
            "failed": notice.failed,
            "missed": notice.missed,
        }
    return facts | {"expectedDate": iso_milliseconds(notice.expected_date)}


def gathered(notices: Sequence[Notice]) -> dict[str, Any]:
    """Several notices of one account, each as it would be told by itself."""
    return {
        "text": text_of_all(notices),
        "account": notices[0].account_alias,
        "count": len(notices),
        "backups": list(map(payload, notices)),
    }


FORMAT = Format(payload, gathered)
