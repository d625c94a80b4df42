"""Setting a single target, as the command line and the demo do."""

from __future__ import annotations

from collections.abc import Sequence
from copy import replace
from hashlib import sha256

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.signing import SigningSecret, new_secret
from backup_webhooks.targets.store import AccountTargets, TargetsStore
from backup_webhooks.targets.target import Target


def sample_target(account: str, event: EventType, url: str) -> Target:
    """Return a target of the sample account. Its id is always the same, as `events/redelivery.json` names one."""
    return Target(account, [event], url, sha256(event.encode()).hexdigest()[:16])


def save_target(store: TargetsStore, target: Target) -> SigningSecret | None:
    """Store the target, over the one with the same URL that names one of its event types.

    Return the signing secret if the target is new, to be shown this once. Raise as `TargetsStore.change` does.
    """
    target = replace(target, secrets=(new_secret(),))

    def edit(seen: AccountTargets) -> Sequence[Target]:
        known = seen.with_url(target.url, target.event_types)
        return seen.having(replace(target, target_id=known.target_id) if known else target)

    stored = store.change(target.account, edit).with_url(target.url, target.event_types)
    # Compared by value: a write whose answer was lost is repeated, and finds the target there already.
    return target.secrets[0] if stored and stored.secrets == target.secrets else None
