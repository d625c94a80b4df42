"""Records messages about server policies in ServerPoliciesTable."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore


class Recorder(Struct, frozen=True):
    """Records messages, in any order and any number of times. Shared by threads."""

    policies: ServerPoliciesStore
    events: BackupEventsQueue

    def record(self, message: PolicyMessage, sent_at: datetime | None = None) -> TrackedPolicy:
        """Apply the message to the stored server policy, and send a recovery if it is one. Return what is stored then.

        `sent_at`: when the message was sent to the queue, by the queue's clock; None: at the date in it.
        Raise `InvalidMessage` for an unusable schedule, `Conflict` if other writers kept coming first, and botocore's
        errors. A recovery is sent after it is stored: until then another writer may change it. If the function is
        killed between the two, the message comes again and sends the same recovery, which is posted once.
        """
        after = self.policies.change(
            message.account_alias, message.server_policy_id, lambda known: known.after(message, sent_at)
        )
        if recovery := after.recovery(message, sent_at):
            self.events.send(recovery)
        return after
