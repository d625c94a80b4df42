"""Keeps ServerPoliciesTable current: each message about a server policy becomes what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from backup_webhooks.server_policies import PolicyMessage
from backup_webhooks.stores.server_policies import Conflict, ServerPoliciesStore

# Writers of one server policy are the messages of its own backups: two or three at once.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records messages, in any order and any number of times. Shared by threads."""

    policies: ServerPoliciesStore

    def record(self, message: PolicyMessage) -> None:
        """Load, apply, and store unless nothing changed.

        Raises `InvalidMessage` for a schedule that can't be kept, `Conflict` if others kept coming first, and
        botocore's errors: the message must come again.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._record(message)
            except Conflict:
                continue
        return self._record(message)

    def _record(self, message: PolicyMessage) -> None:
        known = self.policies.load(message.server_policy_id)
        known_now = known.after(message)
        if known_now != known:
            self.policies.save(known_now)
