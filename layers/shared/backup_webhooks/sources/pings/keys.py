"""Ping keys as accounts handle them: what is made, changed and revoked is told to the rest of the service as the
backup service tells of its server policies, so that backups which never start are found.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import replace
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.aws.errors import Conflict, InvalidMessage
from backup_webhooks.events.errors import InvalidField
from backup_webhooks.events.messages import ACTIVE, INACTIVE, ServerPolicyChanged, encode_message, parse_message
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.server_policies import ServerPolicy
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.sources.pings.rules import PingKey, hash_of, new_key

# In the messages of missed backups; where a customer's own backups go is his to know.
OWN_STORAGE = "own storage"
_TICK = timedelta(milliseconds=1)
# What a field of the message is called in the API, where that is something else.
_NAMES = {"name": "accountPolicyName", "clcAccountAlias": "account"}


class UnknownPingKey(LookupError):
    """The account has no such key: it never had, or it was revoked."""


class BackupPlan(Struct, frozen=True):
    """When a script backs up: `backup_schedule` (Quartz cron) in the zone, or so many hours after the last end."""

    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str


class PingKeys(Struct, frozen=True):
    """Handles the keys of accounts. Raises botocore's errors: it is then to be asked again."""

    store: PingKeysStore
    events: BackupEventsQueue

    def of_account(self, account: str) -> Sequence[PingKey]:
        """The account's keys, the oldest first."""
        return self.store.of_account(account)

    def make(  # noqa: PLR0913, PLR0917 - what a server policy has
        self, account: str, server_id: str, policy_name: str, storage_region: str, plan: BackupPlan, now: datetime
    ) -> tuple[PingKey, str]:
        """A new key for a server policy of its own, and the key itself, which nobody can tell again.

        Raises `InvalidField`, `TooManyPingKeys` and `Conflict`.
        """
        secret = new_key()
        made_at = Timestamp.of(now)
        key = PingKey(
            key_hash=hash_of(secret),
            account=account,
            server_id=server_id,
            # Ours alone: a name of the customer's choice could be another's server policy.
            server_policy_id=str(uuid.uuid4()),
            account_policy_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account}\0{policy_name}")),
            account_policy_name=policy_name,
            storage_region=storage_region,
            backup_schedule=plan.backup_schedule,
            backup_interval_hours=plan.backup_interval_hours,
            timezone=plan.timezone,
            created_at=made_at,
            changed_at=made_at,
        )
        message = _checked(key, ACTIVE)
        self.store.add(key)
        try:
            self.events.send(message)
        except (BotoCoreError, ClientError):
            # Nobody has the key, but the message may be there all the same. Should this fail too, the key stays in the
            # list: one that was forgotten could not be revoked, and its backups would be missed for ever.
            with suppress(BotoCoreError, ClientError, Conflict):
                self._revoke(key, now)
            raise
        return key, secret

    def change(
        self, account: str, ping_key_id: str, edit: Callable[[BackupPlan], BackupPlan], now: datetime
    ) -> PingKey:
        """Another plan for the key's backups, from now on. Done again after an error, it is as good as once.

        Raises `UnknownPingKey`, `InvalidField`, `Conflict`, and what `edit` raises.
        """
        seen = self.find(account, ping_key_id)
        plan = edit(BackupPlan(seen.backup_schedule, seen.backup_interval_hours, seen.timezone))
        wanted = replace(
            seen,
            backup_schedule=plan.backup_schedule,
            backup_interval_hours=plan.backup_interval_hours,
            timezone=plan.timezone,
            changed_at=_later(seen, now),
        )
        message = _checked(wanted, ACTIVE)
        self.store.change(seen, wanted)
        self.events.send(message)
        return wanted

    def revoke(self, account: str, ping_key_id: str, now: datetime) -> None:
        """Let the key be none any more, and nothing be expected of its server policy.

        Raises `UnknownPingKey` and `Conflict`.
        """
        self._revoke(self.find(account, ping_key_id), now)

    def _revoke(self, key: PingKey, now: datetime) -> None:
        # In this order: a key that is gone could tell nobody whose backups are to be expected no more.
        self.events.send(_policy(replace(key, changed_at=_later(key, now)), INACTIVE))
        self.store.remove(key)

    def find(self, account: str, ping_key_id: str) -> PingKey:
        """The account's key with that id. Raises `UnknownPingKey`."""
        if key := self.store.find(account, ping_key_id):
            return key
        raise UnknownPingKey(ping_key_id)


def _policy(key: PingKey, status: str) -> ServerPolicyChanged:
    return ServerPolicyChanged(
        server_policy_id=key.server_policy_id,
        account_policy_id=key.account_policy_id,
        name=key.account_policy_name,
        clc_account_alias=key.account,
        server_id=key.server_id,
        storage_region=key.storage_region,
        account_policy_status=ACTIVE,
        server_policy_status=status,
        changed_date=Timestamp.of(key.changed_at),
        backup_schedule=key.backup_schedule,
        backup_interval_hours=key.backup_interval_hours,
        timezone=key.timezone,
    )


def _checked(key: PingKey, status: str) -> ServerPolicyChanged:
    """The message, if its receivers can use it; `InvalidField` otherwise."""
    message = _policy(key, status)
    try:
        parse_message(encode_message(message))
        ServerPolicy.of(message)
    except InvalidMessage as error:
        field = error.field.removeprefix("$.")
        raise InvalidField(_NAMES.get(field, field), error.reason) from None
    return message


def _later(key: PingKey, now: datetime) -> datetime:
    """Now, and in any case after the last change: what is told of the same moment, or of an earlier one, is ignored."""
    return max(Timestamp.of(now), Timestamp.of(key.changed_at + _TICK))
