"""Records messages about server policies in ServerPoliciesTable."""

from __future__ import annotations

from msgspec import Struct

from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

# In a backlog all ten messages of a batch may be about one server policy, and one writer wins each round.
_TRIES = 12


class Recorder(Struct, frozen=True):
    """Records messages, in any order and any number of times. Shared by threads."""

    policies: ServerPoliciesStore
    events: BackupEventsQueue

    def record(self, message: PolicyMessage) -> TrackedPolicy:
        """Apply the message to the stored server policy, and send a recovery if it is one. Return what is stored then.

        Raise `InvalidMessage` for an unusable schedule, `Conflict` if other writers kept coming first, and botocore's
        errors. A recovery is sent after it is stored: until then another writer may change it. If the function is
        killed between the two, the message comes again and sends the same recovery, which is posted once.
        """
        return retry_on_conflict(lambda: self._record(message), _TRIES)

    def _record(self, message: PolicyMessage) -> TrackedPolicy:
        before = self.policies.load(message.server_policy_id)
        after = before.after(message)
        if after != before:
            self.policies.save(after)
        if recovery := after.recovery(message):
            self.events.send(recovery)
        return after
