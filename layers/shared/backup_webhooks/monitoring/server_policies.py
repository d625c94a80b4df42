"""Tracked policies: a server policy, and what is known of its backups.

Pure. Each message changes what is known, in any order of arrival (design section 6).
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStarted,
    BackupStatus,
    EventType,
    ServerPolicyChanged,
    identity_of,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.daily_counts import ONE_MISSED, ONE_OF_STATUS, DailyCounts, with_counts
from backup_webhooks.monitoring.expectation import (
    TOLERANCE,
    Expectation,
    History,
    Schedule,
    after_report,
    after_schedule_change,
    next_expectation,
)
from backup_webhooks.monitoring.server_policy import PolicyIdentity, ServerPolicy
from backup_webhooks.monitoring.streaks import Repetition, Streaks

type PolicyMessage = BackupStarted | BackupFinished | ServerPolicyChanged
"""The messages that change what is known of a server policy."""


class TrackedPolicy(Struct, frozen=True):
    """All that is known of an account's server policy.

    `policy` is None while only backups have been reported; `identity_from_backup` is then the first one's, otherwise
    None. `watched`: False once a person has stopped watching it; nothing is expected of it then. `expected_at`: the
    next expected start that no backup has answered yet. `last_missed_at`: the newest one that was reported as missed.
    `forgotten_until`: the latest end that has left the history. Ends at or before it are not counted in `daily_counts`
    and `streaks`: they may have been counted already. `revision` counts the changes, so that no writer overwrites
    another's.
    """

    account: str
    server_policy_id: str
    policy: ServerPolicy | None = None
    watched: bool = True
    history: History = field(default_factory=History)
    expected_at: datetime | None = None
    last_missed_at: datetime | None = None
    daily_counts: DailyCounts = field(default_factory=dict)
    streaks: Streaks = field(default_factory=Streaks)
    forgotten_until: datetime | None = None
    identity_from_backup: PolicyIdentity | None = None
    revision: int = 0

    @property
    def identity(self) -> ServerPolicy | PolicyIdentity | None:
        """Return the server, account policy and region, or None before the first message."""
        return self.policy or self.identity_from_backup

    @property
    def schedule(self) -> Schedule | None:
        """Return the schedule, or None while none is known or usable, or the policy is inactive or not watched."""
        return self.policy.schedule if self.policy and self.watched else None

    @property
    def troubled_since(self) -> datetime | None:
        """Return since when backups have gone wrong without a success since; None if they have not.

        The trouble of an inactive policy, or of one that is not watched, needs no attention: None.
        """
        if not self.watched or (self.policy and not self.policy.active):
            return None
        return min((streak.since for streak in self.streaks.by_event_type.values()), default=None)

    def after(self, message: PolicyMessage, sent_at: datetime | None = None) -> Self:
        """Return what is known after the message; an equal value if that is nothing new.

        `sent_at`: when the message was sent; None: at the date in it. A policy that is new is expected to start no
        backup before. Raise `InvalidMessage` for an unusable schedule.
        """
        match message:
            case BackupStarted():
                history = self.history.with_start(message.backup_started_date)
                return self._identified_by(message)._with_history(history)
            case BackupFinished():
                return self._identified_by(message)._after_end(message)
            case ServerPolicyChanged():
                return self._after_change(ServerPolicy.of(message), sent_at)

    def _identified_by(self, message: BackupStarted | BackupFinished) -> Self:
        return self if self.identity else replace(self, identity_from_backup=PolicyIdentity.of(message))

    def _after_end(self, message: BackupFinished) -> Self:
        finished_at = message.backup_finished_date
        # The end proves the start too, whose own message may be lost or late.
        history = self.history.with_start(message.backup_started_date)
        status = message.restore_point_creation_status
        settled = self._with_history(history.with_finish(finished_at, str(status)))
        if finished_at in self.history.finishes or (self.forgotten_until and finished_at <= self.forgotten_until):
            return settled
        forgotten = finished_at not in settled.history.finishes
        return replace(
            settled,
            daily_counts=with_counts(self.daily_counts, finished_at, ONE_OF_STATUS[status]),
            streaks=self._streaks_after_end(message),
            forgotten_until=_latest(settled.forgotten_until, finished_at if forgotten else None),
        )

    def _streaks_after_end(self, message: BackupFinished) -> Streaks:
        at, event_type = message.backup_finished_date, message.event_type
        if message.restore_point_creation_status is BackupStatus.SUCCESS:
            return self.streaks.with_success(at)
        return self.streaks.with_trouble(event_type, at) if event_type else self.streaks

    def recovery(self, message: PolicyMessage) -> BackupRecovered | None:
        """Return the recovery, if this success, which is already applied, ended failures or misses; otherwise None.

        The answer stays the same until the next recovery.
        """
        recovery = self.streaks.recovery
        if not isinstance(message, BackupFinished) or recovery is None:
            return None
        is_success = message.restore_point_creation_status is BackupStatus.SUCCESS
        if not is_success or message.backup_finished_date != recovery.at:
            return None
        failed, missed = (
            recovery.by_event_type.get(event_type) for event_type in (EventType.FAILURE, EventType.MISSING)
        )
        since = [*([failed.since] if failed else []), *([missed.since - TOLERANCE] if missed else [])]
        return BackupRecovered(
            **identity_of(message),
            restore_point_id=message.restore_point_id,
            backup_finished_date=message.backup_finished_date,
            failing_since_date=Timestamp.of(min(since)),
            failed=failed.count if failed else 0,
            missed=missed.count if missed else 0,
        )

    def repetition(self, message: BackupFinished) -> Repetition | None:
        """Return the repetition, if the message, which is already applied, repeats what is known; None for news."""
        at, event_type = message.backup_finished_date, message.event_type
        if event_type is EventType.SUCCESS:
            return None if at == self.streaks.changed_at else Repetition(self.streaks.changed_at)
        streak = self.streaks.by_event_type.get(event_type) if event_type else None
        return Repetition(streak.since) if streak and at > streak.since else None

    def watching(self, watched: bool, at: datetime) -> Self:
        """Return what is known once a person, at that time, has stopped watching the policy or watches it again.

        Misses that came before are still to be reported. Watched again, the schedule counts from then.
        """
        return self if watched == self.watched else self._rescheduled(replace(self, watched=watched), at, at)

    def _after_change(self, policy: ServerPolicy, sent_at: datetime | None) -> Self:
        if self.policy and policy.changed_at <= self.policy.changed_at:
            return self
        sent_at = sent_at or policy.changed_at
        # Nothing is known of the time before the policy was, nor of that whose starts are forgotten. A start dated in
        # the future would otherwise forget what is still to come.
        unknown_until = min(self.history.settled_until or sent_at, sent_at) if self.policy else sent_at
        counts_from = max(policy.changed_at, unknown_until)
        changed = replace(self, policy=policy, identity_from_backup=None)
        return self._rescheduled(changed, policy.changed_at, counts_from)

    def _rescheduled(self, changed: Self, at: datetime, counts_from: datetime) -> Self:
        """Return `changed`, which may have another schedule or none, as it is since `at`.

        `counts_from`: the time from which on its schedule expects starts, if it is another one.
        """
        if changed.schedule is None:
            # The first miss once it has a schedule again is news.
            changed = replace(changed, streaks=changed.streaks.without(EventType.MISSING))
        if changed.schedule == self.schedule:
            return changed._with_history(self.history)
        return changed._with_history(after_schedule_change(self.schedule, self.history, at, counts_from))

    def _with_history(self, history: History) -> Self:
        return self._with_expectation(next_expectation(self.schedule, history))

    def _with_expectation(self, expectation: Expectation) -> Self:
        forgotten = set(self.history.finishes).difference(expectation.history.finishes)
        return replace(
            self,
            history=expectation.history,
            expected_at=expectation.expected_at,
            forgotten_until=_latest(self.forgotten_until, *forgotten),
        )

    @property
    def deadline(self) -> datetime | None:
        """Return the time up to which, inclusive, a start answers the expected one; None if none is expected."""
        return self.expected_at and self.expected_at + TOLERANCE

    def is_missed(self, as_of: datetime) -> bool:
        """Return whether the expected start was missed, if all starts up to `as_of` are recorded."""
        return self.deadline is not None and self.deadline < as_of

    def after_miss(self, resumed_at: datetime) -> Self:
        """Return what is known once the miss of `expected_at` is reported. Raise `ValueError` if nothing is expected.

        `resumed_at`: as for `expectation.after_report`.
        """
        current = Expectation(self.history, self.expected_at)
        after = self._with_expectation(after_report(self.schedule, current, resumed_at))
        if self.expected_at is None:
            return after
        return replace(
            after,
            last_missed_at=self.expected_at,
            daily_counts=with_counts(self.daily_counts, self.expected_at, ONE_MISSED),
            streaks=self._streaks_after_miss,
        )

    @property
    def _streaks_after_miss(self) -> Streaks:
        # The miss counts at its deadline: an end before it, of a run that began too early to answer, is earlier.
        return self.streaks.with_trouble(EventType.MISSING, self.deadline) if self.deadline else self.streaks

    def miss(self) -> BackupMissed:
        """Return the message that reports the miss of `expected_at`. Raise `ValueError` if nothing is expected."""
        if self.policy is None or self.expected_at is None:
            raise ValueError("nothing is expected, so nothing was missed")
        streak = self._streaks_after_miss.by_event_type.get(EventType.MISSING)
        if streak and self.expected_at < streak.since - TOLERANCE:
            streak = None  # The streak began later, so this miss is news.
        return BackupMissed(
            account_alias=self.account,
            server_id=self.policy.server_id,
            server_policy_id=self.server_policy_id,
            account_policy_id=self.policy.account_policy_id,
            account_policy_name=self.policy.account_policy_name,
            storage_region=self.policy.storage_region,
            expected_date=Timestamp.of(self.expected_at),
            missing_since_date=Timestamp.of(streak.since - TOLERANCE) if streak else None,
        )


def _latest(*timestamps: datetime | None) -> datetime | None:
    return max((timestamp for timestamp in timestamps if timestamp), default=None)
