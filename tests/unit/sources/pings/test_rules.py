"""The rules turn a script's pings into messages: in any order, repeated, overlapping."""

from __future__ import annotations

from copy import replace
from datetime import timedelta

import pytest
from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.messages import BackupFinished, BackupStarted, encode_message, parse_message
from backup_webhooks.sources.pings.rules import (
    InvalidPing,
    Ping,
    PingKey,
    Signal,
    check_run_id,
    hash_of,
    new_key,
    parse_signal,
    remembered,
    seconds_to_wait,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import at

START, SUCCESS, PARTIAL, FAIL = Signal.START, Signal.SUCCESS, Signal.PARTIAL, Signal.FAIL
KEY = PingKey(
    key_hash=hash_of("key"),
    account="TEST",
    server_id="fileserver",
    server_policy_id="sp-1",
    account_policy_id="ap-1",
    account_policy_name="Nightly",
    storage_region="own storage",
    backup_schedule="0 0 1 * * ?",
    backup_interval_hours=None,
    timezone="UTC",
    created_at=at("12-20 00:00"),
    changed_at=at("12-20 00:00"),
)


def ping(on: str, signal: Signal, run_id: str = "") -> Ping:
    return Ping(at(on), signal, run_id)


def message_of(*pings: Ping, output: str = "") -> BackupStarted | BackupFinished:
    """Return the message of the last of the pings."""
    message = KEY.with_pings(pings).message(BackupOutput.of(output))
    assert parse_message(encode_message(message)) == message, "its consumers can use it"
    return message


def end_of(*pings: Ping, output: str = "") -> BackupFinished:
    message = message_of(*pings, output=output)
    assert isinstance(message, BackupFinished)
    return message


INVALID_STEPS = [
    "",
    "success",
    "START",
    "256",
    "999",
    "-1",
    "+1",
    "1.0",
    "01",
    "00",
    "٣",
    "²",
    "1/2",
    "fail/",
    " 0",
    "0\n",
]


class TestSignals:
    @pytest.mark.parametrize(
        ("step", "signal"),
        [(None, SUCCESS), ("start", START), ("fail", FAIL), ("partial", PARTIAL), ("0", SUCCESS), ("1", FAIL)]
        + [(str(status), FAIL) for status in (2, 3, 10, 137, 255)],
    )
    def test_the_path_gives_the_signal(self, step: str | None, signal: Signal) -> None:
        assert parse_signal(step) is signal

    @pytest.mark.parametrize(
        "step",
        [*INVALID_STEPS, "9" * 5000, "\x00", "start\x00"],
    )
    def test_any_other_path_is_refused_with_what_is_allowed(self, step: str) -> None:
        with pytest.raises(InvalidPing, match="/start, /fail, /partial, or an exit status, /0 to /255"):
            parse_signal(step)

    @pytest.mark.parametrize("run_id", ["1", "2026-11-25T01.00_x", "a" * 64, "0b6f4f8e-2a47-4d6c-9ab4-7d9d3b0c8f11"])
    def test_run_ids_consist_of_letters_digits_and_a_few_marks(self, run_id: str) -> None:
        assert check_run_id(run_id) == run_id

    @pytest.mark.parametrize("run_id", ["", "a b", "a,b", "a" * 65, "ä", "a\n", "a#b", "$(id)"])
    def test_other_run_ids_are_refused(self, run_id: str) -> None:
        with pytest.raises(InvalidPing, match="rid has 1 to 64"):
            check_run_id(run_id)


class TestKeys:
    def test_a_key_has_128_random_bits_and_is_known_by_its_hash(self) -> None:
        keys = {new_key() for _ in range(1000)}

        assert len(keys) == 1000
        assert all(len(key) == 22 and key.replace("-", "").replace("_", "").isalnum() for key in keys)
        assert hash_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    def test_the_repr_of_a_key_does_not_show_its_hash(self) -> None:
        assert KEY.key_hash not in repr(KEY)


class TestRuns:
    def test_a_start_makes_a_started_message(self) -> None:
        message = message_of(ping("12-20 01:00", START, "r1"))

        assert isinstance(message, BackupStarted)
        assert message.backup_started_date == at("12-20 01:00")
        assert (message.account_alias, message.server_id, message.server_policy_id) == ("TEST", "fileserver", "sp-1")

    @pytest.mark.parametrize(
        ("signal", "status"), [(SUCCESS, "SUCCESS"), (PARTIAL, "PARTIAL_SUCCESS"), (FAIL, "FAILED")]
    )
    @pytest.mark.parametrize("run_id", ["", "r1"])
    def test_an_end_belongs_to_the_start_before_it(self, signal: Signal, status: str, run_id: str) -> None:
        start = ping("12-20 01:00", START, run_id)
        message = end_of(start, ping("12-20 01:39", signal, run_id), output="done")

        assert message.restore_point_creation_status == status
        assert (message.backup_started_date, message.backup_finished_date) == (at("12-20 01:00"), at("12-20 01:39"))
        assert message.restore_point_id == message_of(start).restore_point_id
        assert message.output == "done"

    @pytest.mark.parametrize("run_id", ["", "r1"])
    def test_an_end_without_a_start_is_a_backup_that_started_at_its_end(self, run_id: str) -> None:
        message = end_of(ping("12-20 01:39", FAIL, run_id))

        assert message.backup_started_date == message.backup_finished_date == at("12-20 01:39")
        assert message.output is None

    @pytest.mark.parametrize("run_id", ["", "same"])
    def test_an_end_does_not_belong_to_the_start_of_a_backup_that_has_ended(self, run_id: str) -> None:
        first = [ping("12-20 01:00", START, run_id), ping("12-20 01:39", SUCCESS, run_id)]

        assert end_of(*first, ping("12-21 01:39", SUCCESS, run_id)).backup_started_date == at("12-21 01:39")

    def test_of_two_starts_without_a_run_id_the_later_one_counts(self) -> None:
        crashed = ping("12-20 01:00", START)

        message = end_of(crashed, ping("12-21 01:00", START), ping("12-21 01:10", SUCCESS))

        assert message.backup_started_date == at("12-21 01:00")

    def test_a_start_is_forgotten_after_a_week(self) -> None:
        start = ping("12-20 01:00", START)

        assert end_of(start, ping("12-27 01:00", SUCCESS)).backup_started_date == at("12-20 01:00")
        assert end_of(start, ping("12-27 01:01", SUCCESS)).backup_started_date == at("12-27 01:01")

    def test_overlapping_runs_stay_separate(self) -> None:
        pings = [
            ping("12-20 01:00", START, "a"),
            ping("12-20 01:05", START, "b"),
            ping("12-20 01:06", START),
            ping("12-20 01:10", FAIL, "a"),
            ping("12-20 01:20", SUCCESS, "b"),
            ping("12-20 01:30", PARTIAL),
        ]

        ends = [end_of(*pings[:number]) for number in (4, 5, 6)]

        assert [f"{end.backup_started_date:%H:%M}-{end.backup_finished_date:%H:%M}" for end in ends] == [
            "01:00-01:10",
            "01:05-01:20",
            "01:06-01:30",
        ]
        assert len({end.restore_point_id for end in ends}) == 3

    def test_two_servers_may_use_the_same_run_id(self) -> None:
        end = ping("12-20 01:39", SUCCESS, "2026-11-25")
        other = replace(KEY, key_hash=hash_of("other")).with_pings([end]).message(BackupOutput())

        assert other.restore_point_id != message_of(end).restore_point_id


class TestRepeats:
    @pytest.mark.parametrize("signal", Signal)
    def test_a_repeated_ping_with_a_run_id_makes_the_same_message(self, signal: Signal) -> None:
        before = [ping("12-20 01:00", START, "r1")] * (signal is not START)
        first = ping("12-20 01:39", signal, "r1")
        repeats = [
            ping("12-20 01:40", signal, "r1"),
            ping("12-20 02:38", signal, "r1"),
            ping("12-20 03:30", signal, "r1"),
        ]

        for number in range(1, 4):
            assert message_of(*before, first, *repeats[:number]) == message_of(*before, first)

    def test_an_end_belongs_to_the_first_of_repeated_starts(self) -> None:
        pings = [ping("12-20 01:00:00", START, "r1"), ping("12-20 01:00:11", START, "r1")]

        assert end_of(*pings, ping("12-20 01:39", SUCCESS, "r1")).backup_started_date == at("12-20 01:00")

    def test_a_run_id_that_is_used_each_night_hides_no_result(self) -> None:
        first = ping("12-20 01:39", FAIL, "nightly")

        assert message_of(first, ping("12-21 01:39", FAIL, "nightly")) != message_of(first)

    def test_a_start_after_the_end_begins_a_new_run(self) -> None:
        before = [ping("12-20 01:00", START, "r"), ping("12-20 01:01", SUCCESS, "r"), ping("12-20 01:10", START, "r")]

        assert message_of(*before) == message_of(before[-1])
        assert end_of(*before, ping("12-20 01:11", SUCCESS, "r")).backup_started_date == at("12-20 01:10")

    def test_another_end_of_the_same_run_makes_a_message_too(self) -> None:
        """A success must not hide a failure that the script finds afterwards."""
        before = [ping("12-20 01:00", START, "r1"), ping("12-20 01:10", SUCCESS, "r1")]
        failed = ping("12-20 01:12", FAIL, "r1")

        message = end_of(*before, failed)

        assert (message.restore_point_creation_status, message.backup_started_date) == ("FAILED", at("12-20 01:00"))
        assert end_of(*before, failed, ping("12-20 01:13", SUCCESS, "r1")) == end_of(*before)

    def test_without_a_run_id_a_repeated_end_makes_another_message_with_the_same_start(self) -> None:
        before = [ping("12-20 01:00", START), ping("12-20 01:39:00", SUCCESS)]

        message = end_of(*before, ping("12-20 01:39:11", SUCCESS))

        assert message.backup_started_date == at("12-20 01:00")
        assert message.backup_finished_date == at("12-20 01:39:11")

    def test_a_ping_that_was_written_twice_for_one_call_makes_the_same_message(self) -> None:
        """botocore repeats a write if its answer was lost."""
        start, end = ping("12-20 01:00", START), ping("12-20 01:39", SUCCESS)

        assert message_of(start, start) == message_of(start)
        assert message_of(start, end, end) == message_of(start, end)


class TestThrottle:
    NOW = at("12-20 01:00:30")

    def pings(self, *seconds: float) -> list[Ping]:
        """Return pings that came so many seconds before `NOW`."""
        return [Ping(self.NOW - timedelta(seconds=ago), SUCCESS) for ago in sorted(seconds, reverse=True)]

    def test_any_minute_has_room_for_ten_pings(self) -> None:
        assert seconds_to_wait(self.pings(*range(9)), self.NOW) is None
        assert seconds_to_wait(self.pings(*range(10)), self.NOW) == 51
        assert seconds_to_wait(self.pings(*range(51, 61)), self.NOW) is None

    def test_one_more_ping_is_allowed_after_the_wait_and_not_before(self) -> None:
        pings = self.pings(*[number * 3.3 for number in range(14)])
        wait = seconds_to_wait(pings, self.NOW)

        assert wait is not None
        assert seconds_to_wait(pings, self.NOW + timedelta(seconds=wait)) is None
        assert seconds_to_wait(pings, self.NOW + timedelta(seconds=wait - 1)) is not None

    @given(st.lists(st.floats(0, 200), max_size=40))
    def test_the_wait_is_from_one_second_to_a_minute(self, seconds: list[float]) -> None:
        wait = seconds_to_wait(self.pings(*seconds), self.NOW)

        assert wait is None or 1 <= wait <= 60
        assert (wait is None) == (sum(ago < 60 for ago in seconds) < 10)


class TestMemory:
    def test_pings_of_the_last_hour_and_starts_of_open_runs_are_kept(self) -> None:
        pings = [
            ping("12-12 01:00", START, "too old"),
            ping("12-19 01:00", START, "long"),
            ping("12-19 02:00", START, "ended"),
            ping("12-19 03:00", SUCCESS, "ended"),
            ping("12-19 04:00", START),
            ping("12-19 05:00", START),
            ping("12-20 00:30", SUCCESS, "late"),
        ]

        kept = remembered(pings, at("12-20 01:00"))

        assert kept == (pings[1], pings[5], pings[6])

    def test_only_the_newest_39_are_kept(self) -> None:
        pings = [Ping(at("12-20 01:00") + timedelta(seconds=number), START, f"r{number}") for number in range(60)]

        assert remembered(pings, at("12-20 01:02")) == tuple(pings[-39:])
