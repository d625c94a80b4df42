"""The store of report settings: one item of WebhooksTable for each account, beside its targets.

`ReportScheduleStore` keeps the reports' progress in the same item, so that both change together: no report is due for
an account without recipients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import replace
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Changed, Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.events.timestamps import Clock, iso_milliseconds, utc_now
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No event type begins like this.
SORT_KEY = "Report.Recipients"
# The only partition of index `dueReports`: an account is written there once a day.
DUE_SHARD = 0
_TRIES = 5
# Attributes of `ReportScheduleStore` about daily, weekly and any reports.
_DAILY_PROGRESS, _WEEKLY_PROGRESS, _PROGRESS = (
    "dailyUntil, dailyCut",
    "weeklyUntil, weeklyCut",
    "dueShard, tryAt, dueAt, underWayEnd, underWayWeek, underWayCut, leaseUntil, sentTo",
)


class ReportSettingsStore(Struct, frozen=True):
    """Reads and writes the settings. Its methods raise botocore's errors."""

    client: DynamoDBClient
    table: str
    clock: Clock = utc_now

    def load(self, account: str) -> ReportSettings:
        """Return the account's settings by a consistent read, or the defaults, without recipients, if none were set."""
        answer = self.client.get_item(TableName=self.table, Key=report_key(account), ConsistentRead=True)
        return settings_of(from_item(answer.get("Item", {})))

    def change(
        self, account: str, edit: Callable[[ReportSettings], ReportSettings], expected_version: str | None = None
    ) -> ReportSettings:
        """Replace the settings by what `edit` makes of them, and return what is stored.

        `edit` may be called several times, and has to keep the recipients' tokens. Raise `Changed` if the revision is
        not the expected one, `Conflict` if other writers came first each time, and what `edit` raises.
        """

        def write() -> ReportSettings:
            seen = self.load(account)
            if expected_version not in (None, str(seen.revision)):
                raise Changed(SORT_KEY)
            saved = replace(edit(seen), revision=seen.revision + 1)
            # A write whose answer was lost is repeated by botocore, and finds its own revision.
            if not self._replace(account, seen, saved) and self.load(account) != saved:
                raise Conflict(SORT_KEY)
            return saved

        return retry_on_conflict(write, _TRIES)

    def save(self, account: str, wanted: ReportSettings) -> ReportSettings:
        """Replace the settings, whatever they are. Raise as `change` does."""
        return self.change(account, lambda seen: wanted)

    def unsubscribe(self, account: str, token: str) -> str | None:
        """Remove the recipient with that token. Return the address, or None if there is no such recipient.

        Raise `Conflict` if other writers came first each time.
        """
        if (recipient := self.load(account).recipient_of(token)) is None:
            return None
        # If another writer removes the recipient first, this changes nothing.
        self.change(account, lambda seen: seen.without(seen.recipient_of(token)))
        return recipient.address

    def _replace(self, account: str, seen: ReportSettings, saved: ReportSettings) -> bool:
        update, values = _update(seen, saved, self.clock())
        try:
            self.client.update_item(
                TableName=self.table,
                Key=report_key(account),
                UpdateExpression=update,
                ConditionExpression="revision = :seen" if seen.revision else "attribute_not_exists(revision)",
                ExpressionAttributeNames={"#hour": "hour", "#timezone": "timezone"},
                ExpressionAttributeValues=to_item(values | ({":seen": seen.revision} if seen.revision else {})),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def report_key(account: str) -> dict[str, Any]:
    """Return the item's key in DynamoDB's wire format."""
    return to_item({"account": account, "target": SORT_KEY})


def settings_of(fields: Mapping[str, Any]) -> ReportSettings:
    """Return the settings in the item, or the defaults if it has none."""
    # An item that an earlier version has written has only a revision.
    if "recipients" not in fields:
        return ReportSettings(revision=int(fields.get("revision", 0)))
    return ReportSettings(
        recipients=[
            Recipient(**{**recipient, "report": ReportFrequency(recipient["report"])})
            for recipient in fields["recipients"]
        ],
        hour=int(fields["hour"]),
        timezone=fields["timezone"],
        revision=int(fields["revision"]),
    )


def _update(seen: ReportSettings, saved: ReportSettings, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the update expression and its values: the settings, and when the next report is due if that changes."""
    values: dict[str, Any] = {
        ":recipients": [asdict(recipient) for recipient in saved.recipients],
        ":hour": saved.hour,
        ":timezone": saved.timezone,
        ":revision": saved.revision,
    }
    update = "SET recipients = :recipients, #hour = :hour, #timezone = :timezone, revision = :revision"
    frequencies = {recipient.report for recipient in saved.recipients}
    # A report without recipients starts anew with the next one, and does not cover the time between.
    ended = [
        *([_DAILY_PROGRESS] if ReportFrequency.DAILY not in frequencies else []),
        *([_WEEKLY_PROGRESS] if ReportFrequency.WEEKLY not in frequencies else []),
        *([_PROGRESS] if frequencies <= {ReportFrequency.NONE} else []),
    ]
    if _PROGRESS not in ended:
        moved = (seen.hour, seen.timezone) != (saved.hour, saved.timezone)
        due_at = iso_milliseconds(ReportDays(saved.hour, saved.zone).next_end(now))
        values |= {":dueShard": DUE_SHARD, ":dueAt": due_at}
        update += ", dueShard = :dueShard" + "".join(
            f", {name} = " + (":dueAt" if moved else f"if_not_exists({name}, :dueAt)") for name in ("dueAt", "tryAt")
        )
    return update + (f" REMOVE {', '.join(ended)}" if ended else ""), values
