"""Keeps ServerPoliciesTable current: each message about a server policy becomes what is known of it."""

from __future__ import annotations

import random
import time

from msgspec import Struct

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

# In a backlog all ten messages of a batch may be of one server policy; one of the writers wins each round.
_TRIES = 12
_PAUSE_SECONDS = 0.01


class Recorder(Struct, frozen=True):
    """Records messages, in any order and any number of times. Shared by threads."""

    policies: ServerPoliciesStore
    events: BackupEventsQueue

    def record(self, message: PolicyMessage) -> TrackedPolicy:
        """Load, apply, and store unless nothing changed; answers with what is known then.

        A recovery is told, as a message of its own, once it is stored: only then nobody else can have found otherwise.
        A message that comes again, as after a function that was killed between the two, tells it again from what is
        stored, and it is posted once.

        Raises `InvalidMessage` for a schedule that can't be kept, `Conflict` if others kept coming first, and
        botocore's errors: the message must come again.
        """
        for attempt in range(_TRIES - 1):
            try:
                return self._record(message)
            except Conflict:
                time.sleep(random.uniform(0, _PAUSE_SECONDS * (attempt + 1)))  # noqa: S311 - spreads tries, guards nothing
        return self._record(message)

    def _record(self, message: PolicyMessage) -> TrackedPolicy:
        known = self.policies.load(message.server_policy_id)
        known_now = known.after(message)
        if known_now != known:
            self.policies.save(known_now)
        if recovery := known_now.recovery(message):
            self.events.send(recovery)
        return known_now
