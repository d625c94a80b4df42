"""Who gets an account's daily report: one item of WebhooksTable, beside the account's targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.stores.configurations import Changed
from backup_webhooks.stores.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No event begins so.
_SORT_KEY = "Report.Recipients"


@dataclass(frozen=True, slots=True)
class ReportRecipients:
    """E-mail addresses. `revision` counts the changes."""

    addresses: Sequence[str] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ReportRecipientsStore:
    """Reads and writes recipients. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def load(self, account: str) -> ReportRecipients:
        """The account's recipients now (a consistent read); none where none were set."""
        key = to_item({"account": account, "target": _SORT_KEY})
        item = from_item(self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item", {}))
        return ReportRecipients(item.get("addresses", ()), int(item.get("revision", 0)))

    def save(self, account: str, addresses: Sequence[str], expected_version: str | None) -> ReportRecipients:
        """Put these in the place of those that are there. Raises `Changed` where others came first."""
        seen = self.load(account).revision
        if expected_version not in (None, str(seen)):
            raise Changed(_SORT_KEY)
        saved = ReportRecipients(list(addresses), seen + 1)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(
                    {"account": account, "target": _SORT_KEY, "addresses": saved.addresses, "revision": saved.revision}
                ),
                ConditionExpression="attribute_not_exists(account) OR revision = :seen",
                ExpressionAttributeValues=to_item({":seen": seen}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Changed(_SORT_KEY) from None
        return saved
