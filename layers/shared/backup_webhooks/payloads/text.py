"""The default format: the FAQ's own, an object with the one key `text`, which Slack and its like show as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from backup_webhooks.events.messages import BackupFinished, BackupRecovered, Notice, WebhookEvent
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format

# Slack cuts off what is longer than 40,000 characters (docs.slack.dev, "chat.postMessage").
_LONGEST_TEXT = 30_000
_HAPPENED: Mapping[WebhookEvent | None, str] = {
    WebhookEvent.FAILURE: "failed",
    WebhookEvent.PARTIAL_SUCCESS: "partly succeeded",
    WebhookEvent.MISSING: "missed",
    WebhookEvent.SUCCESS: "succeeded",
    WebhookEvent.RECOVERED: "recovered",
}


def payload(notice: Notice) -> dict[str, str]:
    """`{"text": …}`, to the character as in the FAQ's example payloads (design section 3)."""
    return {"text": text(notice)}


def text(notice: Notice) -> str:
    """The sentence itself, which richer formats carry too."""
    if isinstance(notice, BackupFinished):
        return (
            f"Status: {notice.restore_point_creation_status}  -  Account: {notice.account_alias}"
            f"  -  Server: {notice.server_id}  -  Account Policy Name: {notice.account_policy_name}"
            f"  -  Restore Point Id: {notice.restore_point_id}"
            f"  -  Finished Date/Time: {finished_date(notice.backup_finished_date)}"
        )
    if isinstance(notice, BackupRecovered):
        return (
            f"{notice.server_id} recovered with restore point [{notice.restore_point_id}]"
            f" at {finished_date(notice.backup_finished_date)} for policy [{notice.account_policy_name}]"
            f" with server policy id [{notice.server_policy_id}], after {how_many(notice)}"
            f" since {finished_date(notice.failing_since_date)}"
        )
    return (
        f"{notice.server_id} missed a backup expected at {iso_milliseconds(notice.expected_date)}"
        f" for policy [{notice.account_policy_name}] with server policy id [{notice.server_policy_id}]"
        f" and storage region [{notice.storage_region}]"
    )


def gathered(notices: Sequence[Notice]) -> dict[str, str]:
    """`{"text": …}` of several notices: how many, and a line with the sentence of each."""
    return {"text": text_of_all(notices)}


def text_of_all(notices: Sequence[Notice]) -> str:
    """The lines themselves; those that are too many are counted in the last."""
    lines, length = [": ".join(in_short(notices))], 0
    for position, notice in enumerate(notices):
        sentence = text(notice)
        length += len(sentence) + 1
        if length > _LONGEST_TEXT:
            lines.append(f"and {len(notices) - position:,} more")
            break
        lines.append(sentence)
    return "\n".join(lines)


def in_short(notices: Sequence[Notice]) -> tuple[str, str]:
    """What has happened, and to whom: `100 backups missed`, `account ACME`."""
    happened = _HAPPENED[notices[0].webhook_event]
    return f"{len(notices):,} backups {happened}", f"account {notices[0].account_alias}"


def how_many(notice: BackupRecovered) -> str:
    """`2 failed and 1 missed backup`."""
    counts = [f"{count} {how}" for count, how in ((notice.failed, "failed"), (notice.missed, "missed")) if count]
    return f"{' and '.join(counts)} backup{'' if notice.failed + notice.missed == 1 else 's'}"


def finished_date(moment: datetime) -> str:
    """`2018-12-20 01:39:38 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


FORMAT = Format(payload, gathered)
