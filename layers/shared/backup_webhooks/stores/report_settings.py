"""Who gets an account's daily report: one item of WebhooksTable, beside the account's targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.stores.configurations import Changed
from backup_webhooks.stores.items import from_item, to_item
from backup_webhooks.stores.webhooks import Conflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No event begins so.
_SORT_KEY = "Report.Recipients"
_TRIES = 5


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
        """Put these in the place of those that are there.

        Raises `Changed` where the revision is not the expected one, `Conflict` where others kept coming first.
        """
        for _ in range(_TRIES):
            seen = self.load(account)
            if expected_version not in (None, str(seen.revision)):
                raise Changed(_SORT_KEY)
            wanted = ReportRecipients(list(addresses), seen.revision + 1)
            # The latter: an answer that was lost made botocore write twice.
            if self._replace(account, seen, wanted) or self.load(account) == wanted:
                return wanted
        raise Conflict(_SORT_KEY)

    def _replace(self, account: str, seen: ReportRecipients, wanted: ReportRecipients) -> bool:
        fields = {"addresses": wanted.addresses, "revision": wanted.revision}
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item({"account": account, "target": _SORT_KEY} | fields),
                ConditionExpression="attribute_not_exists(account) OR revision = :seen",
                ExpressionAttributeValues=to_item({":seen": seen.revision}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True
