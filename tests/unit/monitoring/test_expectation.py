"""The decision table of missed backups. Policies are daily at 17:00 UTC since 12-19 09:00 unless a test changes it."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import ServerPolicyChanged
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy

from tests.support.policies import LONG_AGO, POLICY_ID, at, changed, every, finished, misses, started, tracked

DAILY = changed("12-19 09:00")


@pytest.mark.parametrize(
    ("case", "start", "missed"),
    [
        ("on time", "12-19 17:00", []),
        ("a second late", "12-19 17:00:01", []),
        ("5 minutes early", "12-19 16:55", []),
        ("more than 5 minutes early", "12-19 16:54:59", ["12-19 17:00"]),
        ("59:59 late", "12-19 17:59:59", []),
        ("an hour late to the second", "12-19 18:00", []),
        ("60:01 late", "12-19 18:00:01", ["12-19 17:00"]),
        ("60 minutes and a millisecond late", "12-19 18:00:00.001", ["12-19 17:00"]),
    ],
)
def test_a_start_answers_its_scheduled_time_within_the_hour(case: str, start: str, missed: list[str]) -> None:
    assert misses(tracked(DAILY, started(start)), as_of="12-20 17:30") == missed


def test_a_backup_that_never_started_is_missed_when_the_hour_is_over() -> None:
    policy = tracked(DAILY)

    assert misses(policy, as_of="12-19 17:59:59") == []
    assert misses(policy, as_of="12-19 18:00") == []
    assert misses(policy, as_of="12-19 18:00:00.001") == ["12-19 17:00"]


def test_every_missed_time_has_its_event() -> None:
    assert misses(tracked(DAILY), as_of="12-22 12:00") == ["12-19 17:00", "12-20 17:00", "12-21 17:00"]


def test_a_late_start_does_not_swallow_an_unreported_miss() -> None:
    policy = tracked(DAILY, started("12-19 19:30"))

    assert policy.expected_at == at("12-19 17:00")
    assert misses(policy, as_of="12-20 17:30") == ["12-19 17:00"]


def test_starts_after_an_unreported_miss_answer_their_own_times() -> None:
    """missed_backups is late, and meanwhile the server has started three times."""
    policy = tracked(DAILY, started("12-20 17:01"), started("12-21 17:02"), started("12-23 17:00"))

    assert misses(policy, as_of="12-24 12:00") == ["12-19 17:00", "12-22 17:00"]


def test_a_start_that_overtook_another_on_the_queue_leaves_it_its_answer() -> None:
    policy = tracked(DAILY, started("12-20 17:01"), started("12-19 17:01"))

    assert misses(policy, as_of="12-21 12:00") == []


def test_started_but_unfinished_is_initiated() -> None:
    assert misses(tracked(DAILY, started("12-19 17:10")), as_of="12-20 17:00") == []


def test_a_run_that_lasts_across_the_next_scheduled_time_does_not_answer_it() -> None:
    policy = tracked(DAILY, started("12-19 17:10"), finished("12-19 17:10", "12-20 19:00"))

    assert misses(policy, as_of="12-21 12:00") == ["12-20 17:00"]


@pytest.mark.parametrize("status", ["SUCCESS", "PARTIAL_SUCCESS", "FAILED", "CANCELLED"])
def test_a_backup_is_initiated_however_it_ends(status: str) -> None:
    policy = tracked(DAILY, finished("12-19 17:10", "12-19 17:20", status))

    assert misses(policy, as_of="12-20 17:30") == []
    assert policy.history.last_status == status


def test_manual_extra_runs_answer_nothing_but_a_time_that_is_near() -> None:
    policy = tracked(DAILY, started("12-19 12:00"), started("12-19 16:00"))
    assert misses(policy, as_of="12-19 18:30") == ["12-19 17:00"]

    policy = tracked(DAILY, started("12-19 12:00"), started("12-19 17:40"), started("12-19 20:00"))
    assert misses(policy, as_of="12-20 17:30") == []


def test_a_new_server_owes_nothing_for_the_time_before_it() -> None:
    policy = tracked(changed("12-19 17:00"))

    assert policy.expected_at == at("12-20 17:00")


class TestInterval:
    def test_it_counts_from_the_activation_if_there_is_no_history(self) -> None:
        assert tracked(every(6, "12-19 09:00")).expected_at == at("12-19 15:00")

    def test_it_counts_from_the_finish(self) -> None:
        policy = tracked(every(6, "12-19 09:00"), finished("12-19 10:00", "12-19 12:30:06.476"))

        assert policy.expected_at == at("12-19 18:30:06.476")
        assert misses(policy, as_of="12-19 19:30:06.476") == []
        assert misses(policy, as_of="12-19 19:30:06.477") == ["12-19 18:30"]

    def test_while_a_backup_runs_the_next_is_not_expected_for_a_day(self) -> None:
        policy = tracked(every(6, "12-19 09:00"), started("12-19 10:00"))

        assert policy.expected_at == at("12-20 10:00")

    def test_an_interval_of_more_than_a_day_counts_from_the_start_too(self) -> None:
        assert tracked(every(72, "12-19 09:00"), started("12-19 10:00")).expected_at == at("12-22 10:00")

    def test_a_lost_finish_does_not_silence_the_server_for_ever(self) -> None:
        policy = tracked(every(6, "12-19 09:00"), started("12-19 10:00"))

        assert misses(policy, as_of="12-20 18:00") == ["12-20 10:00", "12-20 16:00"]

    def test_a_late_start_does_not_swallow_the_miss(self) -> None:
        policy = tracked(
            every(6, "12-19 09:00"),
            finished("12-19 10:00", "12-19 11:00"),
            finished("12-19 19:00", "12-19 19:30"),
        )

        assert misses(policy, as_of="12-20 01:30") == ["12-19 17:00"]

    def test_a_server_that_stays_silent_misses_each_interval(self) -> None:
        policy = tracked(every(6, "12-19 09:00"), finished("12-19 10:00", "12-19 11:00"))

        assert misses(policy, as_of="12-20 06:30") == ["12-19 17:00", "12-19 23:00", "12-20 05:00"]

    def test_an_early_run_moves_the_next_expectation(self) -> None:
        policy = tracked(
            every(6, "12-19 09:00"),
            finished("12-19 10:00", "12-19 11:00"),
            finished("12-19 12:00", "12-19 13:00"),
        )

        assert policy.expected_at == at("12-19 19:00")

    def test_the_history_before_a_change_counts(self) -> None:
        policy = tracked(every(24, "12-18 09:00"), finished("12-19 10:00", "12-19 11:00"), every(6, "12-19 12:00"))

        assert policy.expected_at == at("12-19 17:00")

    def test_the_schedule_wins_if_both_are_set(self) -> None:
        assert tracked(changed("12-19 09:00", backup_interval_hours=1)).expected_at == at("12-19 17:00")


class TestActivity:
    @pytest.mark.parametrize("status", ["account_policy_status", "server_policy_status"])
    def test_an_inactive_policy_expects_nothing(self, status: str) -> None:
        policy = tracked(changed("12-19 09:00", **{status: "INACTIVE"}))

        assert policy.expected_at is None
        assert misses(policy, as_of="12-25 09:00") == []

    def test_deactivation_before_the_deadline_ends_the_expectation(self) -> None:
        policy = tracked(DAILY, changed("12-19 17:30", server_policy_status="INACTIVE"))

        assert misses(policy, as_of="12-25 09:00") == []

    def test_deactivation_after_the_deadline_does_not_swallow_the_miss(self) -> None:
        policy = tracked(DAILY, changed("12-19 18:30", server_policy_status="INACTIVE"))

        assert misses(policy, as_of="12-25 09:00") == ["12-19 17:00"]

    def test_a_reactivated_policy_counts_from_then(self) -> None:
        policy = tracked(DAILY, changed("12-19 12:00", server_policy_status="INACTIVE"), changed("12-21 12:00"))

        assert misses(policy, as_of="12-22 12:00") == ["12-21 17:00"]

    def test_two_misses_before_the_change_are_both_reported(self) -> None:
        policy = tracked(DAILY, changed("12-21 12:00", server_policy_status="INACTIVE"))

        assert misses(policy, as_of="12-25 09:00") == ["12-19 17:00", "12-20 17:00"]

    def test_a_start_that_comes_after_the_deactivation_still_answers_its_time(self) -> None:
        policy = tracked(DAILY, changed("12-19 18:30", server_policy_status="INACTIVE"), started("12-19 17:02"))

        assert misses(policy, as_of="12-25 09:00") == []


class TestChange:
    def test_a_changed_schedule_counts_from_its_date(self) -> None:
        policy = tracked(DAILY, changed("12-19 16:00", backup_schedule="0 0 3 * * ?"))

        assert misses(policy, as_of="12-20 12:00") == ["12-20 03:00"]

    def test_a_changed_name_changes_no_expectation(self) -> None:
        policy = tracked(DAILY, changed("12-19 17:30", name="Renamed"))

        assert misses(policy, as_of="12-19 18:30") == ["12-19 17:00"]
        assert policy.miss().account_policy_name == "Renamed"

    def test_an_old_change_does_not_undo_a_newer_one(self) -> None:
        newer = tracked(changed("12-19 10:00", backup_schedule="0 0 3 * * ?"))

        assert newer.after(DAILY) == newer

    def test_a_start_may_come_before_its_policy(self) -> None:
        policy = tracked(started("12-19 17:00"), DAILY)

        assert misses(policy, as_of="12-20 17:30") == []

    def test_a_change_of_zone_is_a_change_of_schedule(self) -> None:
        policy = tracked(DAILY, changed("12-19 12:00", timezone="America/New_York"))

        assert policy.expected_at == at("12-19 22:00")


def test_repeated_and_old_messages_change_nothing() -> None:
    messages = [DAILY, started("12-19 17:00"), finished("12-19 17:00", "12-19 17:30"), started("12-20 17:00")]
    policy = tracked(*messages)

    for message in messages:
        assert policy.after(message) == policy


def test_the_order_of_arrival_does_not_matter() -> None:
    messages: list[PolicyMessage] = [
        DAILY,
        started("12-19 17:20"),
        finished("12-19 17:20", "12-19 17:50"),
        started("12-20 19:00"),
        finished("12-20 19:00", "12-20 19:30", "FAILED"),
    ]
    for order in itertools.permutations(messages):
        policy = tracked(*order)
        assert misses(policy, as_of="12-21 17:30") == ["12-20 17:00"]
        assert policy.history.last_status == "FAILED"
        assert policy.history.last_started_at == at("12-20 19:00")


def backups(chance: random.Random) -> list[PolicyMessage]:
    """A week of backups, each with its end, at odd times."""
    said: list[PolicyMessage] = []
    timestamp = datetime(2018, 12, 19, 10, tzinfo=UTC)
    while timestamp < datetime(2018, 12, 26, tzinfo=UTC):
        start = timestamp + timedelta(minutes=chance.randint(1, 600))
        timestamp = start + timedelta(minutes=chance.randint(1, 300))
        said += [started(f"{start:%m-%d %H:%M}"), finished(f"{start:%m-%d %H:%M}", f"{timestamp:%m-%d %H:%M}")]
    return said


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    "policy", [DAILY, every(6, "12-19 09:00"), every(30, "12-19 09:00")], ids=["cron", "6 h", "30 h"]
)
def test_misses_are_the_same_however_the_messages_are_shuffled_and_repeated(
    policy: ServerPolicyChanged, seed: int
) -> None:
    """The order changes as much as an outage may change it: within ten messages, and a few older ones come again."""
    chance = random.Random(seed)
    said = backups(chance)
    shuffled: list[PolicyMessage] = []
    for ten in itertools.batched(said, 10, strict=False):
        shuffled += chance.sample([*ten, *chance.sample(said[: len(shuffled) + 10], 3)], len(ten) + 3)

    assert misses(tracked(policy, *shuffled), as_of="12-26 12:00") == misses(
        tracked(policy, *said), as_of="12-26 12:00"
    )


def test_a_start_that_was_taken_for_an_answer_answers_the_changed_schedule_too() -> None:
    """The change was read late, as its consumer was killed."""
    policy = tracked(DAILY, started("12-19 17:00"), changed("12-19 16:59", backup_schedule="0 0 5,17 * * ?"))

    assert misses(policy, as_of="12-20 04:00") == []


def test_a_start_within_the_skew_still_answers_after_a_change_before_the_hour() -> None:
    policy = tracked(DAILY, started("12-19 16:57"), changed("12-19 16:58", timezone="Etc/UTC"))

    assert misses(policy, as_of="12-20 12:00") == []


class TestIntervalAfterAChange:
    def test_a_start_in_time_does_not_set_the_expectation_back(self) -> None:
        policy = tracked(every(6, "12-18 23:00"), started("12-19 00:00"), every(8, "12-19 02:00"))
        assert policy.expected_at == at("12-20 00:00")

        assert policy.after(started("12-19 20:00")).expected_at == at("12-20 20:00")

    def test_the_end_of_a_late_backup_does_not_swallow_the_miss(self) -> None:
        policy = tracked(
            every(6, "12-19 00:00"),
            finished("12-19 00:30", "12-19 01:00"),
            every(7, "12-19 02:00"),
            finished("12-19 09:30", "12-19 09:40"),
        )

        assert misses(policy, as_of="12-19 12:00") == ["12-19 08:00"]


def test_after_a_gap_of_missed_backups_one_event_stands_for_the_times_in_it() -> None:
    hourly = tracked(changed("12-19 09:00", backup_schedule="0 0 * * * ?"))

    assert misses(hourly, as_of="12-20 11:30", resumed_at=at("12-20 10:00")) == ["12-19 10:00", "12-20 10:00"]


def test_after_a_gap_in_which_the_schedule_changed_there_is_no_burst_either() -> None:
    hourly = tracked(
        changed("12-16 09:00", backup_schedule="0 0 * * * ?"), changed("12-19 09:30", backup_schedule="0 15 * * * ?")
    )

    missed = misses(hourly, as_of="12-19 11:30", resumed_at=at("12-19 10:00"))

    assert missed == ["12-16 10:00", "12-19 10:15"]


def test_after_a_gap_a_start_in_it_still_sets_the_interval() -> None:
    policy = tracked(every(24, "12-19 09:00"), finished("12-20 15:00", "12-20 16:00"))

    missed = misses(policy, as_of="12-21 16:30", resumed_at=at("12-21 16:00"))

    assert missed == ["12-20 09:00"]
    assert policy.after_miss(at("12-21 16:00")).expected_at == at("12-21 16:00")


@pytest.mark.parametrize(
    ("case", "on", "expected"),
    [
        # Berlin skips 02:30 on 2018-03-25 and has it twice on 2018-10-28, when Quartz fires the second time.
        ("spring", "2018-03-25T00:00:00Z", "2018-03-26 00:30"),
        ("autumn", "2018-10-27T12:00:00Z", "2018-10-28 01:30"),
        ("the day after autumn", "2018-10-28T12:00:00Z", "2018-10-29 01:30"),
    ],
)
def test_clock_changes_are_quartzs(case: str, on: str, expected: str) -> None:
    policy = tracked(changed(on, backup_schedule="0 30 2 * * ?", timezone="Europe/Berlin"))

    assert policy.expected_at == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_schedule_that_has_ended_expects_nothing_more() -> None:
    policy = tracked(changed("12-19 09:00", backup_schedule="0 0 17 19 12 ? 2018"))

    assert misses(policy, as_of="12-25 09:00") == ["12-19 17:00"]
    assert policy.after_miss(at("12-19 18:30")).expected_at is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"backup_schedule": None}, "$.backupSchedule"),
        ({"backup_schedule": "0 0 17 * *"}, "$.backupSchedule"),
        ({"backup_schedule": "every day"}, "$.backupSchedule"),
        ({"backup_schedule": "0 0 0 30 2 ?"}, "$.backupSchedule"),
        ({"timezone": "Mars/Olympus"}, "$.timezone"),
        ({"timezone": "../../etc/passwd"}, "$.timezone"),
        ({"timezone": ""}, "$.timezone"),
        ({"timezone": "Europe"}, "$.timezone"),
        ({"timezone": "a\0b"}, "$.timezone"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(changes: dict[str, str | None], field: str) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        tracked(changed("12-19 09:00", **changes))

    assert refusal.value.field == field


def test_a_schedule_that_has_ended_expects_nothing_more_and_can_be_renamed_and_deactivated() -> None:
    last = "0 0 17 20 12 ? 2018"
    policy = tracked(changed("12-20 09:00", backup_schedule=last))
    assert policy.expected_at == at("12-20 17:00")
    after = policy.after_miss(LONG_AGO)
    assert (after.expected_at, after.last_missed_at) == (None, at("12-20 17:00"))

    renamed = after.after(changed("2019-03-01T09:00:00Z", backup_schedule=last, name="Other"))
    assert renamed.policy
    assert (renamed.policy.account_policy_name, renamed.expected_at) == ("Other", None)
    assert not renamed.is_missed(at("2019-12-31T00:00:00Z"))
    off = renamed.after(changed("2019-03-02T09:00:00Z", backup_schedule=last, server_policy_status="INACTIVE"))
    assert off.policy
    assert not off.policy.active
    assert tracked(changed("12-20 09:00", backup_schedule="0 0 17 * * ? 2017")).expected_at is None


class TestThePastHasAnEnd:
    """A schedule counts from when its policy became known, and no further back than starts are remembered."""

    def test_a_policy_that_has_been_active_for_years_is_expected_from_when_it_is_first_heard_of(self) -> None:
        policy = TrackedPolicy("TEST", POLICY_ID).after(changed("2013-12-20T09:00:00Z"), at("12-20 12:00"))

        assert misses(policy, "12-20 18:00") == []
        assert misses(policy, "12-21 18:01") == ["12-20 17:00", "12-21 17:00"]

    def test_a_policy_first_heard_of_as_active_and_at_once_as_inactive_has_missed_nothing(self) -> None:
        policy = TrackedPolicy("TEST", POLICY_ID).after(changed("01-02 09:00"), at("12-20 12:00"))
        off = policy.after(changed("12-20 11:59", server_policy_status="INACTIVE"), at("12-20 12:00"))

        assert misses(off, "12-31 00:00") == []

    def test_a_change_that_comes_five_days_late_reports_no_start_that_was_made(self) -> None:
        policy = TrackedPolicy("TEST", POLICY_ID).after(changed("12-01 09:00", backup_schedule="0 0 2 * * ?"))
        for day in range(2, 14):
            policy = policy.after(started(f"12-{day:02} 02:31"))
        late = policy.after(changed("12-08 12:00", backup_schedule="0 30 2 * * ?"), at("12-13 12:00"))

        assert misses(late, "12-13 12:00") == []
        assert misses(late, "12-14 03:31") == ["12-14 02:30"]

    def test_a_new_hourly_policy_that_comes_four_days_late_reports_nothing_of_them(self) -> None:
        policy = TrackedPolicy("TEST", POLICY_ID)
        hours = [f"12-{day:02} {hour:02}:01" for day in range(10, 14) for hour in range(24)]
        for hour in hours:
            policy = policy.after(started(hour))
        late = policy.after(changed("12-10 00:00", backup_schedule="0 0 * * * ?"), at("12-14 00:00"))

        assert misses(late, "12-14 01:00") == []
        assert misses(late, "12-14 02:01") == ["12-14 01:00"]

    def test_a_reactivation_that_comes_late_reports_no_start_that_is_forgotten(self) -> None:
        policy = TrackedPolicy("TEST", POLICY_ID).after(changed("12-01 09:00", server_policy_status="INACTIVE"))
        for day in range(2, 14):
            policy = policy.after(started(f"12-{day:02} 17:01"))
        late = policy.after(changed("12-03 12:00"), at("12-13 20:00"))

        assert misses(late, "12-13 20:00") == []

    def test_an_end_dated_in_the_future_silences_no_policy_that_comes_after_it(self) -> None:
        """A server's clock is wrong, once. The policy is new, or was inactive until then."""
        wrong = finished("2036-01-01T01:00:00Z", "2036-01-01T02:00:00Z")
        inactive = changed("12-01 09:00", server_policy_status="INACTIVE")

        for before in ([wrong], [inactive, wrong]):
            policy = TrackedPolicy("TEST", POLICY_ID)
            for message in before:
                policy = policy.after(message)
            active = policy.after(changed("12-10 09:00"), at("12-10 09:00"))

            assert misses(active, "12-10 18:01") == ["12-10 17:00"]


def test_a_miss_of_an_interval_that_waits_to_be_reported_costs_no_run_after_it() -> None:
    begin = at("12-20 12:00")
    policy = tracked(every(1, "12-20 12:00"))
    for place in range(150):
        start = begin + timedelta(hours=2, minutes=1) + place * timedelta(minutes=5)
        policy = policy.after(started(f"{start:%Y-%m-%dT%H:%M:%SZ}"))

    end = begin + timedelta(hours=2, minutes=1) + 150 * timedelta(minutes=5)
    assert misses(policy, f"{end:%Y-%m-%dT%H:%M:%SZ}") == ["12-20 13:00"]


@pytest.mark.parametrize(("schedule", "minutes", "number"), [("0 0/5 * * * ?", 5, 400), ("0 0/15 * * * ?", 15, 400)])
@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_a_miss_that_waits_to_be_reported_costs_no_start_after_it(
    schedule: str, minutes: int, number: int, order: str
) -> None:
    begin = at("12-20 12:00")
    made = [begin + timedelta(hours=1) + place * timedelta(minutes=minutes) for place in range(1, number)]
    if order == "shuffled":
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        random.Random(seed).shuffle(made)
    policy = tracked(changed("12-20 11:59", backup_schedule=schedule))
    unanswered = [f"{begin + place * timedelta(minutes=minutes):%m-%d %H:%M}" for place in range(3)]
    for start in made:
        policy = policy.after(started(f"{start:%Y-%m-%dT%H:%M:%SZ}"))
    end = f"{begin + timedelta(hours=1) + number * timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"

    # The first start, an hour and a pause later, answers all times but the first.
    assert misses(policy, end) == unanswered[:1]
    assert len(policy.history.starts) <= 101
