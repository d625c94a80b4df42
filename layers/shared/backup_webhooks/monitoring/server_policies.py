"""Tracked policies: a server policy, and what is known of its backups.

Pure. Each message changes what is known, in any order of arrival (design section 6).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from backup_webhooks.events.messages import (
    TOLERANCE,
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupStarted,
    BackupStatus,
    BackupUnfinished,
    DetectedEvent,
    EventType,
    ServerPolicyChanged,
    identity_of,
    judged,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.daily_counts import (
    ONE_MISSED,
    ONE_OF_STATUS,
    ONE_UNFINISHED,
    DailyCounts,
    with_counts,
)
from backup_webhooks.monitoring.expectation import (
    Expectation,
    History,
    Schedule,
    after_report,
    after_schedule_change,
    next_expectation,
    same_times,
)
from backup_webhooks.monitoring.runs import OpenRuns, Run
from backup_webhooks.monitoring.server_policy import RUN_LIMIT_WITHOUT_SCHEDULE, PolicyIdentity, ServerPolicy
from backup_webhooks.monitoring.staleness import Staleness
from backup_webhooks.monitoring.streaks import EVER, Place, Streaks

type PolicyMessage = BackupStarted | BackupFinished | ServerPolicyChanged
"""The messages that change what is known of a server policy."""

# The first of these after a time without a schedule is news.
_DETECTED = (EventType.MISSING, EventType.UNFINISHED, EventType.STALE)


class Report(Struct, frozen=True):
    """An event to be reported, and the deadline that passed."""

    deadline: datetime
    event: DetectedEvent


class TrackedPolicy(Struct, frozen=True):
    """All that is known of an account's server policy.

    `policy` is None while only backups have been reported; `identity_from_backup` is then the first one's, otherwise
    None. `watched`: False once a person has stopped watching it; nothing is expected of it then. `expected_at`: the
    next expected start that no backup has answered yet. `last_missed_at`: the newest one that was reported as missed.
    `deadline`: when missed_backups judges the policy; nothing is to be reported before, and perhaps nothing then.
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
    deadline: datetime | None = None
    runs: OpenRuns = field(default_factory=OpenRuns)
    staleness: Staleness = field(default_factory=Staleness)
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

        `sent_at`: when the message was sent; None: at the date in it. Dates after it are not believed. A policy that is
        new is expected to start no backup before. Raise `InvalidMessage` for an unusable schedule.
        """
        match message:
            case BackupStarted():
                return self._identified_by(message)._after_start(message, sent_at)
            case BackupFinished():
                return self._identified_by(message)._after_end(message, judged(message, sent_at))
            case ServerPolicyChanged():
                return self._after_change(ServerPolicy.of(message, sent_at))

    def _identified_by(self, message: BackupStarted | BackupFinished) -> Self:
        return self if self.identity else replace(self, identity_from_backup=PolicyIdentity.of(message))

    def _after_start(self, message: BackupStarted, sent_at: datetime | None) -> Self:
        started_at = judged(message, sent_at).backup_started_date
        if started_at in self.history.starts:
            return self
        opens = self.judged_now and started_at >= (self.history.remembered_from or started_at)
        limit = self.policy.run_limit(started_at) if self.policy else RUN_LIMIT_WITHOUT_SCHEDULE
        run = Run(started_at, (sent_at or started_at) + limit, message.backup_started_date, message.restore_point_id)
        after = replace(self, runs=self.runs.with_start(run) if opens else self.runs)._with_history(
            self.history.with_start(started_at)
        )
        # The end must not write the index, so the time stands there that the run has if it ends at once.
        expected_at = after.schedule.expected_if_ended(started_at, after.expected_at) if after.schedule else None
        return replace(after, deadline=_earliest(after._next_deadline, expected_at and expected_at + TOLERANCE))

    def _after_end(self, sent: BackupFinished, message: BackupFinished) -> Self:
        finished_at = message.backup_finished_date
        # The end proves the start too, whose own message may be lost or late.
        history = self.history.with_start(message.backup_started_date)
        status = message.restore_point_creation_status
        settled = self._with_history(history.with_finish(finished_at, str(status)))
        # Most ends move all deadlines back. The index is then left as it is, because each write of it costs.
        settled = replace(
            settled,
            runs=self.runs.with_end(
                message.backup_started_date,
                message.restore_point_id,
                ahead=message.backup_started_date != sent.backup_started_date,
            ),
            deadline=_earliest(self.deadline, settled.missing_deadline),
        )
        if finished_at in self.history.finishes or (self.forgotten_until and finished_at <= self.forgotten_until):
            return settled
        forgotten = finished_at not in settled.history.finishes
        counted = replace(
            settled,
            daily_counts=with_counts(self.daily_counts, finished_at, ONE_OF_STATUS[status]),
            streaks=self._streaks_after_end(message),
            forgotten_until=_latest(settled.forgotten_until, finished_at if forgotten else None),
        )
        # Once the last success was reported as stale, the index holds no age limit.
        stale_deadline = counted.stale_deadline if self.stale_since else None
        return replace(counted, deadline=_earliest(counted.deadline, stale_deadline))

    def _streaks_after_end(self, message: BackupFinished) -> Streaks:
        at, event_type = message.backup_finished_date, message.event_type
        if message.restore_point_creation_status is BackupStatus.SUCCESS:
            return self.streaks.with_success(at)
        return self.streaks.with_trouble(event_type, at) if event_type else self.streaks

    def recovery(self, message: PolicyMessage, sent_at: datetime | None = None) -> BackupRecovered | None:
        """Return the recovery, if this success, which is already applied, ended trouble; otherwise None.

        `sent_at`: as for `after`. The answer stays the same until the next recovery.
        """
        recovery = self.streaks.recovery
        if not isinstance(message, BackupFinished) or recovery is None:
            return None
        is_success = message.restore_point_creation_status is BackupStatus.SUCCESS
        if not is_success or judged(message, sent_at).backup_finished_date != recovery.at:
            return None
        ended = recovery.by_event_type
        counts = {event_type: streak.count for event_type, streak in ended.items()}
        # A miss counts at its deadline, but its backup was to start before.
        since = [streak.since - TOLERANCE * (kind is EventType.MISSING) for kind, streak in ended.items()]
        return BackupRecovered(
            **identity_of(message),
            restore_point_id=message.restore_point_id,
            backup_finished_date=message.backup_finished_date,
            failing_since_date=Timestamp.of(min(since)),
            failed=counts.get(EventType.FAILURE, 0),
            partly_succeeded=counts.get(EventType.PARTIAL_SUCCESS, 0),
            missed=counts.get(EventType.MISSING, 0),
            unfinished=counts.get(EventType.UNFINISHED, 0),
            stale=counts.get(EventType.STALE, 0),
        )

    def place(self, message: BackupFinished, sent_at: datetime | None = None) -> Place | None:
        """Return the place of the message, which is already applied, among the events of its type.

        `sent_at`: as for `after`. None for a cancelled backup, and for trouble that was over before it was reported.
        """
        at, event_type = judged(message, sent_at).backup_finished_date, message.event_type
        if event_type is EventType.SUCCESS:
            return Place(at, self.streaks.recovery.at if self.streaks.recovery else EVER)
        streak = self.streaks.by_event_type.get(event_type) if event_type else None
        return Place(at, streak.since) if streak and at >= streak.since else None

    def watching(self, watched: bool, at: datetime) -> Self:
        """Return what is known once a person, at that time, has stopped watching the policy or watches it again.

        Misses that came before are still to be reported. Watched again, the schedule counts from then.
        """
        return self if watched == self.watched else self._rescheduled(replace(self, watched=watched), at, at)

    def _after_change(self, policy: ServerPolicy) -> Self:
        if self.policy and policy.order <= self.policy.order:
            return self
        sent_at = policy.sent_at or policy.changed_at
        # Nothing is known of the time before the policy was, nor of that whose starts are forgotten. A start dated in
        # the future would otherwise forget what is still to come.
        remembered_from = self.history.remembered_from or self.history.settled_until or sent_at
        unknown_until = min(remembered_from, sent_at) if self.policy else sent_at
        counts_from = max(policy.changed_at, unknown_until)
        changed = replace(self, policy=policy, identity_from_backup=None)
        return self._rescheduled(changed, policy.changed_at, counts_from)

    def _rescheduled(self, changed: Self, at: datetime, counts_from: datetime) -> Self:
        """Return `changed`, which may have another schedule or none, as it is since `at`.

        `counts_from`: the time from which on its schedule expects starts, if it is another one.
        """
        if changed.schedule is None:
            changed = replace(changed, streaks=changed.streaks.without(_DETECTED), last_missed_at=None)
        history = self.history
        if not same_times(changed.schedule, self.schedule):
            history = after_schedule_change(self.schedule, history, at, counts_from)
        changed = replace(
            changed,
            runs=self.runs if changed.judged_now else self.runs.dropped(),
            staleness=self._staleness_after(changed, at, counts_from),
        )
        return changed._with_history(history).judged_anew()

    def _staleness_after(self, changed: Self, at: datetime, counts_from: datetime) -> Staleness:
        """Return the staleness under another schedule, or none: `changed`, as it is since `at`."""
        schedule, staleness = changed.schedule, self.staleness
        if schedule is None:
            return staleness.paused(at)
        if staleness.paused_at:
            first = schedule.next_start(staleness.paused_at)
            begins_anew = first is not None and first <= counts_from
        else:
            # No success of the time before could be too old by a schedule that did not count yet.
            stale_at = None if same_times(schedule, self.schedule) else changed.stale_deadline
            begins_anew = staleness.counts_from is None or (stale_at is not None and stale_at < counts_from)
        return staleness.counting(counts_from if begins_anew else None)

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
    def judged_now(self) -> bool:
        """Return whether the policy's runs are judged: it is not inactive, and a person has not stopped watching it."""
        return self.watched and (self.policy is None or self.policy.active)

    @property
    def missing_deadline(self) -> datetime | None:
        """Return the time up to which, inclusive, a start answers the expected one; None if none is expected."""
        return self.expected_at and self.expected_at + TOLERANCE

    @property
    def stale_since(self) -> datetime | None:
        """Return since when the policy lacks a success, if that was reported; otherwise None."""
        last_success_at = self.streaks.last_success_at
        return self.staleness.since(last_success_at) if self.staleness.is_reported(last_success_at) else None

    @property
    def stale_deadline(self) -> datetime | None:
        """Return when the last success is too old; None if it never is, or if that was reported."""
        since = self.staleness.since(self.streaks.last_success_at)
        return self.policy.stale_at(since) if self.policy and self.watched and since and not self.stale_since else None

    @property
    def _next_deadline(self) -> datetime | None:
        return _earliest(self.missing_deadline, self.runs.next_limit, self.stale_deadline)

    def judged_anew(self) -> Self:
        """Return the same with its true deadline."""
        return replace(self, deadline=self._next_deadline)

    def report_due(self, as_of: datetime) -> Report | None:
        """Return what is to be reported first, if all messages up to `as_of` are recorded; None if there is nothing."""
        deadlines: list[tuple[datetime | None, Callable[[], DetectedEvent]]] = [
            (self.missing_deadline, self.miss),
            (self.runs.next_limit, self.unfinished),
            (self.stale_deadline, self.stale),
        ]
        passed = [(deadline, event) for deadline, event in deadlines if deadline and deadline < as_of]
        if not passed:
            return None
        deadline, event = min(passed, key=lambda report: report[0])
        return Report(deadline, event())

    def after_report(self, event: DetectedEvent, resumed_at: datetime) -> Self:
        """Return what is known once the event, which is due, is reported. `resumed_at`: as for `after_miss`."""
        match event:
            case BackupMissed():
                return self.after_miss(resumed_at)
            case BackupUnfinished():
                return self._after_unfinished()
            case BackupStale():
                return self._after_stale(event)

    def is_missed(self, as_of: datetime) -> bool:
        """Return whether the expected start was missed, if all starts up to `as_of` are recorded."""
        return self.missing_deadline is not None and self.missing_deadline < as_of

    def miss(self) -> BackupMissed:
        """Return the message that reports the miss of `expected_at`. Raise `ValueError` if nothing is expected."""
        if self.expected_at is None:
            raise ValueError("nothing is expected, so nothing was missed")
        streak = self._streaks_after_miss.by_event_type.get(EventType.MISSING)
        if streak and self.expected_at < streak.since - TOLERANCE:
            streak = None  # The streak began later, so this miss is news.
        return BackupMissed(
            **self._identity_fields,
            expected_date=Timestamp.of(self.expected_at),
            missing_since_date=Timestamp.of(streak.since - TOLERANCE) if streak else None,
            last_success_date=self._last_success_date,
        )

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
        ).judged_anew()

    @property
    def _streaks_after_miss(self) -> Streaks:
        # The miss counts at its deadline: an end before it, of a run that began too early to answer, is earlier.
        deadline = self.missing_deadline
        return self.streaks.with_trouble(EventType.MISSING, deadline) if deadline else self.streaks

    def unfinished(self) -> BackupUnfinished:
        """Return the message that reports the run whose limit passes first. Raise `ValueError` if none is open."""
        run = self._next_run
        streak = self.streaks.with_trouble(EventType.UNFINISHED, run.limit_at).by_event_type.get(EventType.UNFINISHED)
        return BackupUnfinished(
            **self._identity_fields,
            backup_started_date=Timestamp.of(run.sent_start),
            run_limit_date=Timestamp.of(run.limit_at),
            unfinished_since_date=Timestamp.of(min(streak.since, run.limit_at) if streak else run.limit_at),
            restore_point_id=run.restore_point_id,
            last_success_date=self._last_success_date,
        )

    def _after_unfinished(self) -> Self:
        run = self._next_run
        return replace(
            self,
            runs=self.runs.after_report(run),
            daily_counts=with_counts(self.daily_counts, run.started_at, ONE_UNFINISHED),
            streaks=self.streaks.with_trouble(EventType.UNFINISHED, run.limit_at),
        ).judged_anew()

    @property
    def _next_run(self) -> Run:
        if self.runs.first is None:
            raise ValueError("no run is open, so none is unfinished")
        return self.runs.first

    def stale(self) -> BackupStale:
        """Return the message that reports that the last success is too old. Raise `ValueError` if it never is."""
        since, stale_at = self.staleness.since(self.streaks.last_success_at), self.stale_deadline
        if since is None or stale_at is None:
            raise ValueError("no success is expected, so none is too old")
        return BackupStale(
            **self._identity_fields,
            since_date=Timestamp.of(since),
            age_limit_date=Timestamp.of(stale_at),
            last_success_date=self._last_success_date,
        )

    def _after_stale(self, event: BackupStale) -> Self:
        return replace(
            self,
            staleness=replace(self.staleness, reported_since=event.since_date),
            streaks=self.streaks.with_trouble(EventType.STALE, event.age_limit_date),
        ).judged_anew()

    @property
    def _identity_fields(self) -> dict[str, str]:
        if self.identity is None:
            raise ValueError("no message has named the server yet")
        return {
            "account_alias": self.account,
            "server_id": self.identity.server_id,
            "server_policy_id": self.server_policy_id,
            "account_policy_id": self.identity.account_policy_id,
            "account_policy_name": self.identity.account_policy_name,
            "storage_region": self.identity.storage_region,
        }

    @property
    def _last_success_date(self) -> Timestamp | None:
        return Timestamp.of(self.streaks.last_success_at) if self.streaks.last_success_at else None


def _latest(*timestamps: datetime | None) -> datetime | None:
    return max((timestamp for timestamp in timestamps if timestamp), default=None)


def _earliest(*timestamps: datetime | None) -> datetime | None:
    return min((timestamp for timestamp in timestamps if timestamp), default=None)
