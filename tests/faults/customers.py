"""A customer in these worlds: targets with different preferences, and servers with their backups."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from copy import replace
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupStarted,
    BackupStatus,
    EventType,
    Message,
    ServerPolicyChanged,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import DeliveryMode, Target

from local.receiver import Receiver
from tests.world.world import ACCOUNT, BEGIN, World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# A backup that starts this late is in time.
TOLERANCE = HOUR


def targets(receiver: Receiver) -> list[Target]:
    """Return targets with retries, with changes only and reminders, with a single attempt, and with grouping."""
    changes = Preferences(changes_only=True, remind_hours=1)
    return [
        _target(receiver, EventType.FAILURE, 0, delivery=DeliveryMode.RETRY),
        _target(receiver, EventType.FAILURE, 1, preferences=changes),
        _target(receiver, EventType.PARTIAL_SUCCESS, 0),
        _target(receiver, EventType.MISSING, 0, delivery=DeliveryMode.RETRY),
        _target(receiver, EventType.SUCCESS, 0, preferences=Preferences(group=True)),
        _target(receiver, EventType.RECOVERED, 0),
    ]


def varied_targets(receiver: Receiver) -> list[Target]:
    """Return targets whose preferences depend on what they were sent, and on what has happened since."""
    changes, key = Preferences(changes_only=True), "k" * 32
    grouped = Preferences(changes_only=True, group=True)
    incidents = [
        replace(_target(receiver, event, 4, delivery=DeliveryMode.RETRY), format="pagerduty", destination_key=key)
        for event in (EventType.FAILURE, EventType.SUCCESS)
    ]
    return [
        _target(receiver, EventType.FAILURE, 2, preferences=changes, delivery=DeliveryMode.RETRY),
        _target(receiver, EventType.FAILURE, 3, preferences=grouped),
        _target(receiver, EventType.MISSING, 1, preferences=grouped, delivery=DeliveryMode.RETRY),
        _target(receiver, EventType.SUCCESS, 1, preferences=changes),
        *incidents,
    ]


def customers_changes(
    chance: random.Random, targets: Sequence[Target]
) -> Sequence[tuple[datetime, Callable[[World], None]]]:
    """Return changes that the customer makes to some targets, with their times: off and on, another URL, removed."""
    changes = []
    for target in chance.sample(list(targets), chance.choice([0, 1, 3])):
        at = BEGIN + timedelta(minutes=chance.uniform(5, 60))
        match chance.choice(["off and on", "another URL", "removed"]):
            case "off and on":
                back_at = at + timedelta(minutes=chance.choice([1, 20]))
                changes += [(at, _changing(target, enabled=False)), (back_at, _changing(target, enabled=True))]
            case "another URL":
                changes.append((at, _changing(target, url=f"{target.url}/moved")))
            case _:
                changes.append((at, _changing(target)))
    return sorted(changes, key=lambda change: change[0])


def _changing(target: Target, **settings: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.changed.add(target.target_id)
        TargetsStore(world.aws.dynamodb(), "WebhooksTable").change(
            ACCOUNT,
            lambda seen: (
                [replace(one, **settings) if one.target_id == target.target_id else one for one in seen.targets]
                if settings
                else seen.without(target.target_id)
            ),
        )

    return change


def _target(receiver: Receiver, event: EventType, place: int, **settings: object) -> Target:
    """Return a target whose id begins with `place`: an event's targets come in the order of their ids, in any run."""
    target_id = f"{place}{sha256(event.encode()).hexdigest()[:15]}"
    url = f"{receiver.url}/{event}/{place}"
    return Target(ACCOUNT, [event], url, target_id, format="detailed", **settings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Server:
    """One backup: when it is due, and how it goes by the server's own clock. `started_at`: None: never."""

    name: str
    expected_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    status: BackupStatus = BackupStatus.SUCCESS

    @property
    def policy_id(self) -> str:
        return f"policy-{self.name}"

    @property
    def missed(self) -> bool:
        """Return whether it started more than an hour after its scheduled start, or never (FAQ)."""
        return self.started_at is None or self.started_at > self.expected_at + TOLERANCE

    @property
    def schedule(self) -> Message:
        """Return the message of a policy that is active since an hour before the world begins, with a daily backup."""
        return ServerPolicyChanged(
            server_policy_id=self.policy_id,
            account_policy_id="nightly",
            name="Nightly",
            clc_account_alias=ACCOUNT,
            server_id=self.name,
            storage_region="US WEST",
            account_policy_status="ACTIVE",
            server_policy_status="ACTIVE",
            changed_date=Timestamp.of(BEGIN - HOUR),
            backup_schedule=f"0 {self.expected_at.minute} {self.expected_at.hour} * * ?",
        )

    def says(self) -> Iterator[tuple[datetime, Message]]:
        """Yield the backup service's messages about it, each with its time."""
        if self.started_at:
            yield self.started_at, BackupStarted(backup_started_date=Timestamp.of(self.started_at), **self._fields)
            if self.finished_at:
                yield self.finished_at, self.finished(self.started_at, self.finished_at, self.status)

    def finished(self, started_at: datetime, finished_at: datetime, status: BackupStatus) -> BackupFinished:
        """Return the end of a backup of the server."""
        return BackupFinished(
            backup_started_date=Timestamp.of(started_at),
            backup_finished_date=Timestamp.of(finished_at),
            restore_point_id=f"rp-{self.name}-{finished_at:%H%M}",
            restore_point_creation_status=status,
            **self._fields,
        )

    @property
    def _fields(self) -> dict[str, str]:
        return {
            "account_alias": ACCOUNT,
            "server_id": self.name,
            "server_policy_id": self.policy_id,
            "account_policy_id": "nightly",
            "account_policy_name": "Nightly",
            "storage_region": "US WEST",
        }


def servers(chance: random.Random, number: int) -> Sequence[Server]:
    """Return servers of every kind: in time, at the last millisecond, one too late, never; and with every end."""
    return [_server(chance, f"server-{place}") for place in range(number)]


def _server(chance: random.Random, name: str) -> Server:
    expected_at = BEGIN + chance.randint(2, 10) * MINUTE
    late = chance.choice(
        [
            timedelta(seconds=chance.randint(-240, 300)),
            timedelta(seconds=chance.randint(300, 3500)),
            TOLERANCE - timedelta(milliseconds=chance.choice([0, 1, 60_000])),
            TOLERANCE + timedelta(milliseconds=chance.choice([1, 60_000, 600_000])),
            None,
        ]
    )
    if late is None:
        return Server(name, expected_at)
    started_at = expected_at + late
    ended_at = started_at + timedelta(seconds=chance.randint(30, 3600))
    return Server(name, expected_at, started_at, ended_at, chance.choice(list(BackupStatus)))
