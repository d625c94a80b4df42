"""Who gets e-mail about an account's backups: one item of WebhooksTable, beside the account's targets.

What customers set is written here; what `ReportScheduleStore` keeps of the reports' progress stands in the same item,
so that both change together: no report is due for an account without recipients.
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
from backup_webhooks.events.timestamps import Clock, iso_milliseconds, utc_now
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No event begins so.
SORT_KEY = "Report.Recipients"
# Of the index `dueReports`. One will do: an account is written there once a day.
DUE_SHARD = 0
_TRIES = 5
# Attributes of `ReportScheduleStore`, by those whose reports they are about.
_OF_DAILY, _OF_WEEKLY, _OF_ANY = (
    "dailyUntil, dailyCut",
    "weeklyUntil, weeklyCut",
    "dueShard, tryAt, dueAt, underWayEnd, underWayWeek, underWayCut, leaseUntil, sentTo",
)


class ReportSettingsStore(Struct, frozen=True):
    """Reads and writes the settings. Raises botocore's errors."""

    client: DynamoDBClient
    table: str
    clock: Clock = utc_now

    def load(self, account: str) -> ReportSettings:
        """The account's settings now (a consistent read); nobody at the default hour where nothing was set."""
        answer = self.client.get_item(TableName=self.table, Key=report_key(account), ConsistentRead=True)
        return settings_of(from_item(answer.get("Item", {})))

    def change(
        self, account: str, edit: Callable[[ReportSettings], ReportSettings], expected_version: str | None = None
    ) -> ReportSettings:
        """Put what `edit` makes of the settings in their place; answers with what is stored then.

        `edit` may be called several times; who is to keep the token of his links is for it to see to. Raises `Changed`
        where the revision is not the expected one, `Conflict` where others kept coming first, and what `edit` raises.
        """
        for _ in range(_TRIES):
            seen = self.load(account)
            if expected_version not in (None, str(seen.revision)):
                raise Changed(SORT_KEY)
            saved = replace(edit(seen), revision=seen.revision + 1)
            # The latter: an answer that was lost made botocore write twice.
            if self._replace(account, seen, saved) or self.load(account) == saved:
                return saved
        raise Conflict(SORT_KEY)

    def save(self, account: str, wanted: ReportSettings) -> ReportSettings:
        """Put these in the place of those that are there, whatever they are. Raises as `change` does."""
        return self.change(account, lambda seen: wanted)

    def unsubscribe(self, account: str, token: str) -> str | None:
        """Take out the recipient whose token it is; answers with his address, None where there is none (any more).

        Raises `Conflict` where others kept coming first.
        """
        if (gone := self.load(account).recipient_of(token)) is None:
            return None
        # Where somebody else takes him out meanwhile, nothing is left to change.
        self.change(account, lambda seen: seen.without(seen.recipient_of(token)))
        return gone.address

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
    """The item's key, in wire form."""
    return to_item({"account": account, "target": SORT_KEY})


def settings_of(fields: Mapping[str, Any]) -> ReportSettings:
    """The settings that the item holds; the defaults where there is none."""
    # An item that an earlier version has written has a revision, and nothing of the rest.
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
    """What is written: the settings, and when the next report is due where that changes with them."""
    values: dict[str, Any] = {
        ":recipients": [asdict(recipient) for recipient in saved.recipients],
        ":hour": saved.hour,
        ":timezone": saved.timezone,
        ":revision": saved.revision,
    }
    update = "SET recipients = :recipients, #hour = :hour, #timezone = :timezone, revision = :revision"
    frequencies = {recipient.report for recipient in saved.recipients}
    # What nobody gets any more begins anew with its next recipient, not with all that happened in between.
    ended = [
        *([_OF_DAILY] if ReportFrequency.DAILY not in frequencies else []),
        *([_OF_WEEKLY] if ReportFrequency.WEEKLY not in frequencies else []),
        *([_OF_ANY] if frequencies <= {ReportFrequency.NONE} else []),
    ]
    if _OF_ANY not in ended:
        moved = (seen.hour, seen.timezone) != (saved.hour, saved.timezone)
        due_at = iso_milliseconds(ReportDays(saved.hour, saved.zone).next_end(now))
        values |= {":dueShard": DUE_SHARD, ":dueAt": due_at}
        update += ", dueShard = :dueShard" + "".join(
            f", {name} = " + (":dueAt" if moved else f"if_not_exists({name}, :dueAt)") for name in ("dueAt", "tryAt")
        )
    return update + (f" REMOVE {', '.join(ended)}" if ended else ""), values
