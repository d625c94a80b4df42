"""Reads only the streaks from ServerPoliciesTable. Reminders need no schedule and none of its calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.streaks import Streaks
from backup_webhooks.monitoring.streaks_items import streaks_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class StreaksStore(Struct, frozen=True):
    """Reads whether trouble lasts. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def load(self, account: str, server_policy_id: str) -> Streaks:
        """Return the streaks now (a consistent read); none of an unknown server policy."""
        answer = self.client.get_item(
            TableName=self.table,
            Key=to_item({"account": account, "serverPolicyId": server_policy_id}),
            ProjectionExpression="streaks, lastSuccessAt",
            ConsistentRead=True,
        )
        return streaks_of(from_item(answer.get("Item", {})))

    def goes_on(self, account: str, server_policy_id: str, event_type: EventType) -> bool:
        """Return whether a streak of that event type lasts, of an active policy that is watched (a consistent read)."""
        answer = self.client.get_item(
            TableName=self.table,
            Key=to_item({"account": account, "serverPolicyId": server_policy_id}),
            ProjectionExpression="streaks, troubledSince",
            ConsistentRead=True,
        )
        fields = from_item(answer.get("Item", {}))
        return "troubledSince" in fields and str(event_type) in fields["streaks"]
