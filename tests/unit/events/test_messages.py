"""Messages from the queue: typed values, or an InvalidMessage that names the field and says what is allowed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupStarted,
    BackupStatus,
    EventType,
    Message,
    parse_message,
)
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds, iso_milliseconds
from hypothesis import assume, example, given
from hypothesis import strategies as st

LONGEST_TEXT = 600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BACKUP = {
    "accountAlias": "TEST",
    "serverId": "TESTUBUNTUTEST",
    "serverPolicyId": "d4c3b2a1-1f2e-4d3c-8b4a-5f6e7d8c9b03",
    "accountPolicyId": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
    "accountPolicyName": "ZZZ etc",
    "storageRegion": "US EAST",
}


def started(**changes: Any) -> dict[str, Any]:
    return {"type": "BackupStarted", **_BACKUP, "backupStartedDate": "2018-12-20T17:00:02Z", **changes}


def finished(**changes: Any) -> dict[str, Any]:
    return {
        "type": "BackupFinished",
        **_BACKUP,
        "backupStartedDate": "2018-12-20T17:00:02Z",
        "restorePointId": "aee021f6-e9d3-4c13-bff1-a9733bef7532",
        "restorePointCreationStatus": "SUCCESS",
        "backupFinishedDate": "2018-12-20T17:01:45Z",
        **changes,
    }


def missed(**changes: Any) -> dict[str, Any]:
    return {"type": "BackupMissed", **_BACKUP, "expectedDate": "2018-12-20T17:00:06.476Z", **changes}


def without(message: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != field}


def parse(message: Any) -> Message:
    return parse_message(json.dumps(message))


def parse_finished(**changes: Any) -> BackupFinished:
    message = parse(finished(**changes))
    assert isinstance(message, BackupFinished)
    return message


def refusal(body: str) -> InvalidMessage:
    """Return why the body cannot be used, after the checks that apply to each refusal."""
    with pytest.raises(InvalidMessage) as caught:
        parse_message(body)
    return presentable(caught.value)


def presentable(error: InvalidMessage) -> InvalidMessage:
    assert str(error) == f"{error.field}: {error.reason}"
    assert len(str(error)) < LONGEST_TEXT
    assert "Traceback" not in str(error)
    return error


MESSAGES = [started(restorePointId="aee021f6"), finished(), missed()]
FIELDS = [(message, field) for message in MESSAGES for field in message]
REQUIRED = [
    (message, field) for message, field in FIELDS if (message["type"], field) != ("BackupStarted", "restorePointId")
]
TEXT_FIELDS = [*_BACKUP, "restorePointId"]
LONGEST = {"accountAlias": 64, "accountPolicyName": 500, "storageRegion": 500} | dict.fromkeys(
    ("serverId", "serverPolicyId", "accountPolicyId", "restorePointId"), 200
)


def named(case: tuple[dict[str, Any], str]) -> str:
    return f"{case[0]['type']}.{case[1]}"


class TestMessagesThatCanBeUsed:
    def test_a_start_becomes_typed_values(self) -> None:
        message = parse(started(restorePointId="aee021f6"))

        assert isinstance(message, BackupStarted)
        assert message.account_alias == "TEST"
        assert message.server_id == "TESTUBUNTUTEST"
        assert message.server_policy_id == "d4c3b2a1-1f2e-4d3c-8b4a-5f6e7d8c9b03"
        assert message.account_policy_id == "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11"
        assert message.account_policy_name == "ZZZ etc"
        assert message.storage_region == "US EAST"
        assert message.backup_started_date == datetime(2018, 12, 20, 17, 0, 2, tzinfo=UTC)
        assert message.restore_point_id == "aee021f6"

    @pytest.mark.parametrize("message", [started(), started(restorePointId=None)], ids=["left out", "null"])
    def test_a_start_may_come_without_a_restore_point(self, message: dict[str, Any]) -> None:
        start = parse(message)

        assert isinstance(start, BackupStarted)
        assert start.restore_point_id is None

    def test_a_result_becomes_typed_values(self) -> None:
        message = parse_finished()

        assert message.restore_point_creation_status is BackupStatus.SUCCESS
        assert message.backup_started_date == datetime(2018, 12, 20, 17, 0, 2, tzinfo=UTC)
        assert message.backup_finished_date == datetime(2018, 12, 20, 17, 1, 45, tzinfo=UTC)
        assert type(message.backup_finished_date) is Timestamp

    def test_a_result_is_about_its_restore_point_and_happened_at_its_end(self) -> None:
        message = parse_finished()

        assert message.occurred_at == datetime(2018, 12, 20, 17, 1, 45, tzinfo=UTC)
        assert message.subject_id == "aee021f6-e9d3-4c13-bff1-a9733bef7532"

    def test_a_miss_becomes_typed_values(self) -> None:
        message = parse(missed())

        assert isinstance(message, BackupMissed)
        assert message.expected_date == datetime(2018, 12, 20, 17, 0, 6, 476_000, tzinfo=UTC)
        assert message.storage_region == "US EAST"

    def test_a_miss_is_about_its_server_policy_and_happened_at_the_scheduled_start(self) -> None:
        message = parse(missed())

        assert isinstance(message, BackupMissed)
        assert message.event_type is EventType.MISSING
        assert message.occurred_at == message.expected_date
        assert message.subject_id == "d4c3b2a1-1f2e-4d3c-8b4a-5f6e7d8c9b03"

    @pytest.mark.parametrize(
        ("status", "event"),
        [
            ("SUCCESS", EventType.SUCCESS),
            ("PARTIAL_SUCCESS", EventType.PARTIAL_SUCCESS),
            ("FAILED", EventType.FAILURE),
            ("CANCELLED", None),
        ],
    )
    def test_a_status_fires_its_event_and_a_cancelled_backup_fires_none(
        self, status: str, event: EventType | None
    ) -> None:
        assert parse_finished(restorePointCreationStatus=status).event_type is event

    @pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["type"])
    def test_unknown_fields_are_ignored_whatever_they_hold(self, message: dict[str, Any]) -> None:
        extra = {"retentionDays": 7, "nested": {"a": [1, None, {"b": "\x00"}]}, "account_alias": "OTHER", "": ""}

        assert parse(message | extra) == parse(message)

    def test_the_order_of_fields_and_white_space_do_not_matter(self) -> None:
        body = json.dumps(dict(reversed(finished().items())), indent=4)

        assert parse_message(f"\r\n\t {body} \n") == parse(finished())

    @pytest.mark.parametrize(
        "name", ["💾 nightly 🌙", "резервная копия", "備份", "a", "  spaces  ", "#\"'\\/<>&", "é" * 500]
    )
    def test_names_may_be_in_any_script(self, name: str) -> None:
        assert parse_finished(accountPolicyName=name).account_policy_name == name

    @pytest.mark.parametrize("field", TEXT_FIELDS)
    def test_a_text_may_be_as_long_as_its_bound(self, field: str) -> None:
        assert parse(finished(**{field: "😀" * LONGEST[field]}))

    def test_a_message_is_frozen(self) -> None:
        with pytest.raises(AttributeError):
            parse_finished().server_id = "another"  # type: ignore[misc]


class TestDates:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2018-12-20T17:00:00Z", datetime(2018, 12, 20, 17, tzinfo=UTC)),
            ("2018-12-20T17:00Z", datetime(2018, 12, 20, 17, tzinfo=UTC)),
            ("2018-12-20T17:00:00+0000", datetime(2018, 12, 20, 17, tzinfo=UTC)),
            ("2018-12-20T17:00:00+05:30", datetime(2018, 12, 20, 11, 30, tzinfo=UTC)),
            ("2018-12-20T17:00:00-08", datetime(2018, 12, 21, 1, tzinfo=UTC)),
            ("2018-12-20T17:00:06.476Z", datetime(2018, 12, 20, 17, 0, 6, 476_000, tzinfo=UTC)),
            ("2018-12-20T17:00:06.123456789Z", datetime(2018, 12, 20, 17, 0, 6, 123_000, tzinfo=UTC)),
            ("20181220T170000Z", datetime(2018, 12, 20, 17, tzinfo=UTC)),
            ("1970-01-01T00:00:00Z", EPOCH),
            ("1969-12-31T23:00:00-01:00", EPOCH),
            ("2999-12-31T23:59:59.999999Z", datetime(2999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
            ("2016-02-29T00:00:00Z", datetime(2016, 2, 29, tzinfo=UTC)),
        ],
    )
    def test_iso_8601_with_any_zone_is_kept_in_utc(self, text: str, utc: datetime) -> None:
        date = parse_finished(backupFinishedDate=text).backup_finished_date

        assert date == utc
        assert date.tzinfo is UTC

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("2018-12-20T17:00:00", id="no zone"),
            pytest.param("2018-12-20", id="no time"),
            pytest.param("99999-01-01T00:00:00Z", id="year 99999"),
            pytest.param("0001-01-01T00:00:00+14:00", id="before year 1"),
            pytest.param("9999-12-31T23:59:59-14:00", id="after year 9999"),
            pytest.param("1969-12-31T23:59:59Z", id="before 1970"),
            pytest.param("1970-01-01T00:00:00+00:01", id="before 1970 in UTC"),
            pytest.param("3000-01-01T00:00:00Z", id="after 2999"),
            pytest.param("2999-12-31T23:59:59-00:01", id="after 2999 in UTC"),
            pytest.param("2018-02-29T00:00:00Z", id="no such day"),
            pytest.param("2018-12-20T25:00:00Z", id="no such hour"),
            pytest.param("2018-12-20T17:00:00+24:00", id="no such zone"),
            pytest.param("12/20/2018 17:00:00 UTC", id="another form"),
            pytest.param("2018-12-20T17:00:00Z\n", id="newline"),
            pytest.param("2018-12-20\x00", id="NUL"),
            pytest.param("", id="empty"),
            pytest.param("now", id="word"),
            pytest.param("9" * 300 * 1024, id="300 KiB"),
            pytest.param("😀" * 20, id="emoji"),
            pytest.param(1545325206, id="epoch seconds"),
            pytest.param(1545325206.476, id="epoch fraction"),
            pytest.param(None, id="null"),
            pytest.param(True, id="boolean"),
            pytest.param(["2018-12-20T17:00:00Z"], id="array"),
            pytest.param({"date": "2018-12-20T17:00:00Z"}, id="object"),
        ],
    )
    @pytest.mark.parametrize(
        ("factory", "field"),
        [
            (started, "backupStartedDate"),
            (finished, "backupStartedDate"),
            (finished, "backupFinishedDate"),
            (missed, "expectedDate"),
        ],
    )
    def test_a_bad_date_is_refused_with_the_field_and_an_example(self, factory: Any, field: str, value: Any) -> None:
        error = refusal(json.dumps(factory(**{field: value})))

        assert error.field == f"$.{field}"
        assert "ISO 8601" in error.reason
        assert "with a zone" in error.reason
        assert "2018-12-20T01:39:38Z" in error.reason
        assert "1970 to 2999" in error.reason

    def test_a_date_with_a_nul_behind_its_zone_is_refused(self) -> None:
        assert refusal(json.dumps(missed(expectedDate="2018-12-20T17:00:00Z\x00"))).field == "$.expectedDate"

    @pytest.mark.parametrize("separator", ["\x00", "\n", "x", "💥"], ids=ascii)
    def test_a_date_with_another_separator_than_t_or_a_space_is_refused(self, separator: str) -> None:
        assert refusal(json.dumps(missed(expectedDate=f"2018-12-20{separator}17:00:00Z"))).field == "$.expectedDate"

    def test_a_refusal_keeps_the_hostile_date_out_of_its_text(self) -> None:
        assert "<script>" not in str(refusal(json.dumps(finished(backupFinishedDate="<script>"))))

    @given(
        st.datetimes(
            min_value=datetime(1970, 1, 1),
            max_value=datetime(2999, 12, 31, 23, 59, 59, 999_999),
            timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
        )
    )
    def test_any_date_in_any_zone_stays_the_same_instant_cut_to_the_millisecond(self, date: datetime) -> None:
        utc = date.astimezone(UTC)
        utc -= timedelta(microseconds=utc.microsecond % 1000)
        assume(1970 <= utc.year <= 2999)

        parsed = parse_finished(backupFinishedDate=date.isoformat()).backup_finished_date

        assert parsed == utc
        assert parsed.replace(tzinfo=None) == utc.replace(tzinfo=None)
        assert Timestamp.parse(iso_milliseconds(parsed)) == parsed

    @example(datetime(2038, 2, 8, 17, 1, 33, 390_000, tzinfo=UTC))
    @example(datetime(2999, 2, 7, 14, 8, 22, 803_999, tzinfo=UTC))
    @given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC)))
    def test_epoch_milliseconds_are_cut_and_never_off_by_one(self, timestamp: datetime) -> None:
        assert epoch_milliseconds(timestamp) == (timestamp - EPOCH) // timedelta(milliseconds=1)


class TestMessagesThatCannotBeUsed:
    @pytest.mark.parametrize(("message", "field"), REQUIRED, ids=map(named, REQUIRED))
    def test_a_missing_field_is_named(self, message: dict[str, Any], field: str) -> None:
        error = refusal(json.dumps(without(message, field)))

        assert error.field == "$"
        assert f"`{field}`" in error.reason

    @pytest.mark.parametrize("value", [5, 1.5, True, [], {}, ["TEST"], {"a": "TEST"}], ids=repr)
    @pytest.mark.parametrize(("message", "field"), REQUIRED, ids=map(named, REQUIRED))
    def test_a_field_of_the_wrong_type_is_named(self, message: dict[str, Any], field: str, value: Any) -> None:
        assert refusal(json.dumps(message | {field: value})).field == f"$.{field}"

    @pytest.mark.parametrize(("message", "field"), REQUIRED, ids=map(named, REQUIRED))
    def test_null_in_a_required_field_is_refused(self, message: dict[str, Any], field: str) -> None:
        assert refusal(json.dumps(message | {field: None})).field == f"$.{field}"

    @pytest.mark.parametrize("field", TEXT_FIELDS)
    def test_an_empty_text_is_refused_with_the_least_length(self, field: str) -> None:
        error = refusal(json.dumps(finished(**{field: ""})))

        assert error.field == f"$.{field}"
        assert ">= 1" in error.reason

    @pytest.mark.parametrize("field", TEXT_FIELDS)
    @pytest.mark.parametrize("excess", [1, 300 * 1024])
    def test_a_text_that_is_too_long_is_refused_with_the_limit(self, field: str, excess: int) -> None:
        error = refusal(json.dumps(finished(**{field: "x" * (LONGEST[field] + excess)})))

        assert error.field == f"$.{field}"
        assert f"<= {LONGEST[field]}" in error.reason

    @pytest.mark.parametrize("control", [*map(chr, range(0x20)), "\x7f"], ids=lambda control: f"{ord(control):#04x}")
    @pytest.mark.parametrize("pattern", ["{}", "{}b", "a{}b"])
    def test_a_control_character_in_a_text_is_refused(self, control: str, pattern: str) -> None:
        for field in TEXT_FIELDS:
            assert refusal(json.dumps(finished(**{field: pattern.format(control)}))).field == f"$.{field}"

    @pytest.mark.parametrize("control", ["\x00", "\t", "\r", "\x1b", "\x7f"], ids=ascii)
    def test_a_control_character_at_the_end_of_a_text_is_refused(self, control: str) -> None:
        assert refusal(json.dumps(finished(serverId=f"a{control}"))).field == "$.serverId"

    @pytest.mark.parametrize("field", TEXT_FIELDS)
    def test_a_newline_at_the_end_of_a_text_is_refused(self, field: str) -> None:
        assert refusal(json.dumps(finished(**{field: "a\n"}))).field == f"$.{field}"

    @pytest.mark.parametrize("control", ["\x80", "\x85", "\x9b", "\x9f"], ids=ascii)
    def test_a_control_character_outside_ascii_is_refused(self, control: str) -> None:
        assert refusal(json.dumps(finished(serverId=f"a{control}b"))).field == "$.serverId"

    @pytest.mark.parametrize("surrogate", ["\ud800", "\udfff", "a\ud83d"], ids=ascii)
    def test_a_lone_surrogate_is_refused(self, surrogate: str) -> None:
        assert refusal(json.dumps(finished(serverId=surrogate)))
        assert refusal(json.dumps(finished(serverId=surrogate), ensure_ascii=False))

    @pytest.mark.parametrize(
        "status", ["success", "Success", "SUCCESS ", "FAILURE", "", "x" * 300 * 1024, "x y " * 75 * 1024, "💥", 7, None]
    )
    def test_an_unknown_status_is_refused_with_the_known_ones(self, status: Any) -> None:
        error = refusal(json.dumps(finished(restorePointCreationStatus=status)))

        assert error.field == "$.restorePointCreationStatus"
        assert "SUCCESS, PARTIAL_SUCCESS, FAILED, CANCELLED" in error.reason

    @pytest.mark.parametrize(
        "kind",
        ["backupFinished", "BackupDeleted", "", "x" * 300 * 1024, "x y " * 75 * 1024, "\x00", 7, None, ["a"], {}],
    )
    def test_an_unknown_type_is_refused_with_the_known_ones(self, kind: Any) -> None:
        error = refusal(json.dumps(finished(type=kind)))

        assert error.field == "$.type"
        assert "BackupStarted, BackupFinished, BackupMissed" in error.reason

    def test_a_value_that_looks_like_a_path_does_not_change_the_field(self) -> None:
        assert refusal(json.dumps(finished(type="x - at `$.serverId`"))).field == "$.type"

    @pytest.mark.parametrize("length", range(len(json.dumps(missed()))))
    def test_json_that_is_cut_short_anywhere_is_refused(self, length: int) -> None:
        error = refusal(json.dumps(missed())[:length])

        assert error.field == "$"
        assert error.reason.startswith("not JSON")

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("null", id="null"),
            pytest.param("true", id="boolean"),
            pytest.param("1e308", id="number"),
            pytest.param('"text"', id="string"),
            pytest.param(json.dumps("x" * 300 * 1024), id="300 KiB string"),
            pytest.param("[]", id="empty array"),
            pytest.param(json.dumps([finished()]), id="array of a message"),
            pytest.param("{}", id="empty object"),
            pytest.param(json.dumps({"x" * 300 * 1024: 1}), id="300 KiB name"),
            pytest.param(json.dumps(finished()) + json.dumps(finished()), id="two messages"),
            pytest.param("\ufeff" + json.dumps(finished()), id="byte order mark"),
            pytest.param(json.dumps(finished()) + "\x00", id="NUL behind"),
            pytest.param("\x00", id="NUL"),
            pytest.param("NaN", id="NaN"),
            pytest.param(str(finished()), id="Python"),
            pytest.param("<message/>", id="XML"),
            pytest.param("\ud800", id="surrogate"),
            pytest.param("[" * 100_000, id="deep array"),
            pytest.param('{"a":' * 100_000, id="deep object"),
            pytest.param(
                json.dumps(finished())[:-1] + ', "deep": ' + "[" * 50_000 + "]" * 50_000 + "}", id="deep extra"
            ),
            pytest.param(json.dumps(finished())[:-1] + ', "n": ' + "9" * 300 * 1024 + "x}", id="long bad number"),
        ],
    )
    def test_other_texts_are_refused_as_a_whole(self, body: str) -> None:
        assert refusal(body).field == "$"

    def test_a_number_of_300_kib_is_refused_with_its_field(self) -> None:
        body = json.dumps(finished()).replace('"TESTUBUNTUTEST"', "9" * 300 * 1024)

        assert refusal(body).field == "$.serverId"


any_text = st.text(st.characters())
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)


def parses_or_is_refused(body: str) -> InvalidMessage | None:
    try:
        parse_message(body)
    except InvalidMessage as error:
        return presentable(error)
    return None


class TestAnythingAtAll:
    @given(any_text)
    def test_any_text_parses_or_is_refused(self, body: str) -> None:
        parses_or_is_refused(body)

    @given(any_json)
    def test_any_json_parses_or_is_refused(self, value: Any) -> None:
        parses_or_is_refused(json.dumps(value))

    @given(st.sampled_from(["BackupStarted", "BackupFinished", "BackupMissed"]), st.dictionaries(st.text(), any_json))
    def test_any_object_of_a_known_type_parses_or_is_refused(self, kind: str, fields: dict[str, Any]) -> None:
        parses_or_is_refused(json.dumps(fields | {"type": kind}))

    @given(st.sampled_from(FIELDS), any_json)
    def test_any_value_in_one_field_parses_or_that_field_is_named(
        self, case: tuple[dict[str, Any], str], value: Any
    ) -> None:
        message, field = case
        error = parses_or_is_refused(json.dumps(message | {field: value}))

        assert error is None or error.field == f"$.{field}"

    @given(st.data())
    def test_any_damage_to_a_message_leaves_it_usable_or_refused(self, data: st.DataObject) -> None:
        body = json.dumps(data.draw(st.sampled_from(MESSAGES)))
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(start + 8, len(body))))

        parses_or_is_refused(body[:start] + data.draw(any_text) + body[end:])
