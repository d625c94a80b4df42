"""Of ServerPoliciesTable what a reminder needs to know, and no more: the rest takes schedules and their calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.messages import ACTIVE, EventType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class StreaksStore(Struct, frozen=True):
    """Reads whether backups go on going wrong. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def goes_on(self, server_policy_id: str, event_type: EventType) -> bool:
        """Whether the server policy has had no success since its first event of that kind, and is still backed up (a
        consistent read).
        """
        answer = self.client.get_item(
            TableName=self.table,
            Key=to_item({"serverPolicyId": server_policy_id}),
            ProjectionExpression="streaks, accountPolicyStatus, serverPolicyStatus",
            ConsistentRead=True,
        )
        fields = from_item(answer.get("Item", {}))
        # There are none of a server policy of which nobody has told but its backups.
        statuses = [fields.get(name) or ACTIVE for name in ("accountPolicyStatus", "serverPolicyStatus")]
        return str(event_type) in (fields.get("streaks") or {}) and statuses == [ACTIVE, ACTIVE]
