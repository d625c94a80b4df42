"""Setting a single target, as the command line and the demo do."""

from __future__ import annotations

from copy import replace

from backup_webhooks.targets.signing import SigningSecret, new_secret
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target


def save_target(store: TargetsStore, target: Target) -> SigningSecret | None:
    """Store the target's settings, over those of one with the same URL for the same event type.

    Return the signing secret if the target is new, to be shown this once. Raise as `TargetsStore.change` does.
    """
    target = replace(target, secrets=(new_secret(),))
    stored = store.change(target.account, target.event_type, lambda seen: seen.having(target)).find(target.target_id)
    # Compared by value: a write whose answer was lost is repeated, and finds the target there already.
    return target.secrets[0] if stored and stored.secrets == target.secrets else None


def remove_target(store: TargetsStore, target: Target) -> None:
    """Remove the target with its secrets and health. Do nothing if it was removed before."""
    store.change(target.account, target.event_type, lambda seen: seen.without(target.target_id))
