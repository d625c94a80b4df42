"""The ping keys of accounts: `PingKeys` makes, changes and revokes them.

It sends each change to BackupEventsQueue as a change of a server policy, so that backups that never start are found.
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
from backup_webhooks.monitoring.server_policy import ServerPolicy
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.sources.pings.rules import PingKey, hash_of, new_key

# The storage region in events of missed backups: only the customer knows where a script's backups go.
OWN_STORAGE = "own storage"
_MILLISECOND = timedelta(milliseconds=1)
# Fields of the message that have another name in the API.
_API_FIELDS = {"name": "accountPolicyName", "clcAccountAlias": "account"}


class UnknownPingKey(LookupError):
    """The account has no such key: it was never made, or it was revoked."""


class PingSchedule(Struct, frozen=True):
    """When a script backs up: by a Quartz cron expression in a time zone, or a number of hours after the last end."""

    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str


class PingKeys(Struct, frozen=True):
    """Makes, changes and revokes ping keys. Raises botocore's errors, after which the call may be repeated."""

    store: PingKeysStore
    events: BackupEventsQueue

    def of_account(self, account: str) -> Sequence[PingKey]:
        """Return the account's keys, the oldest first."""
        return self.store.of_account(account)

    def make(  # noqa: PLR0913, PLR0917 - what a server policy has
        self, account: str, server_id: str, policy_name: str, storage_region: str, schedule: PingSchedule, now: datetime
    ) -> tuple[PingKey, str]:
        """Make a key for a server policy of its own. Return it and its secret, which is not stored.

        Raise `InvalidField`, `TooManyPingKeys` or `Conflict`.
        """
        secret = new_key()
        made_at = Timestamp.of(now)
        key = PingKey(
            key_hash=hash_of(secret),
            account=account,
            server_id=server_id,
            # Random: an id that the customer chose could be that of another's server policy.
            server_policy_id=str(uuid.uuid4()),
            account_policy_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account}\0{policy_name}")),
            account_policy_name=policy_name,
            storage_region=storage_region,
            backup_schedule=schedule.backup_schedule,
            backup_interval_hours=schedule.backup_interval_hours,
            timezone=schedule.timezone,
            created_at=made_at,
            changed_at=made_at,
        )
        message = _checked_message(key, ACTIVE)
        self.store.add(key)
        try:
            self.events.send(message)
        except (BotoCoreError, ClientError):
            # The caller never gets the key, but the queue may have the message. If the revocation fails too, the key
            # stays in the list, where it can be revoked. Without it, its backups would be missed for ever.
            with suppress(BotoCoreError, ClientError, Conflict):
                self._revoke(key, now)
            raise
        return key, secret

    def change(
        self, account: str, ping_key_id: str, edit: Callable[[PingSchedule], PingSchedule], now: datetime
    ) -> PingKey:
        """Return the key with another schedule from now on. Raise `UnknownPingKey`, `InvalidField` or `Conflict`.

        `edit` gets the present schedule; its errors pass through. The call may be repeated after an error.
        """
        seen = self.find(account, ping_key_id)
        schedule = edit(PingSchedule(seen.backup_schedule, seen.backup_interval_hours, seen.timezone))
        wanted = replace(
            seen,
            backup_schedule=schedule.backup_schedule,
            backup_interval_hours=schedule.backup_interval_hours,
            timezone=schedule.timezone,
            changed_at=_later_than_change(seen, now),
        )
        message = _checked_message(wanted, ACTIVE)
        self.store.change(seen, wanted)
        self.events.send(message)
        return wanted

    def revoke(self, account: str, ping_key_id: str, now: datetime) -> None:
        """Revoke the key, and expect no more backups of its server policy. Raise `UnknownPingKey` or `Conflict`."""
        self._revoke(self.find(account, ping_key_id), now)

    def _revoke(self, key: PingKey, now: datetime) -> None:
        # In this order: without the key a failed message could not be sent again.
        self.events.send(_policy_message(replace(key, changed_at=_later_than_change(key, now)), INACTIVE))
        self.store.remove(key)

    def find(self, account: str, ping_key_id: str) -> PingKey:
        """Return the account's key with that id. Raise `UnknownPingKey` if it has none."""
        if key := self.store.find(account, ping_key_id):
            return key
        raise UnknownPingKey(ping_key_id)


def _policy_message(key: PingKey, status: str) -> ServerPolicyChanged:
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


def _checked_message(key: PingKey, status: str) -> ServerPolicyChanged:
    """Return the message. Raise `InvalidField` if its consumers could not use it."""
    message = _policy_message(key, status)
    try:
        parse_message(encode_message(message))
        if problem := ServerPolicy.of(message).schedule_problem:
            raise InvalidField("backupSchedule", problem)
    except InvalidMessage as error:
        field = error.field.removeprefix("$.")
        raise InvalidField(_API_FIELDS.get(field, field), error.reason) from None
    return message


def _later_than_change(key: PingKey, now: datetime) -> datetime:
    """Return `now`, or just after the last change if that is later: consumers ignore a change that is not newer."""
    return max(Timestamp.of(now), Timestamp.of(key.changed_at + _MILLISECOND))
