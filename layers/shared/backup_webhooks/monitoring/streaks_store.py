"""Reads only the streaks and statuses from ServerPoliciesTable. Reminders need no schedule and none of its calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.messages import ACTIVE, EventType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class StreaksStore(Struct, frozen=True):
    """Reads whether trouble lasts. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def goes_on(self, server_policy_id: str, event_type: EventType) -> bool:
        """Return whether a streak of that event type lasts and the server policy is active (a consistent read)."""
        answer = self.client.get_item(
            TableName=self.table,
            Key=to_item({"serverPolicyId": server_policy_id}),
            ProjectionExpression="streaks, accountPolicyStatus, serverPolicyStatus",
            ConsistentRead=True,
        )
        fields = from_item(answer.get("Item", {}))
        # The statuses are absent while only backups of the server policy have been reported.
        statuses = [fields.get(name) or ACTIVE for name in ("accountPolicyStatus", "serverPolicyStatus")]
        return str(event_type) in (fields.get("streaks") or {}) and statuses == [ACTIVE, ACTIVE]
