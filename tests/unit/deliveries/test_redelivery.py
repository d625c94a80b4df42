"""The messages on RetryQueue: their fields, the numbers of attempts, and when they are due."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.deliveries.delivery import (
    AttemptDue,
    Delivery,
    GroupDue,
    encode_retry_message,
    parse_retry_message,
)
from backup_webhooks.deliveries.retry_queue import LONGEST_DELAY, RetryQueue
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.payloads import FORMATS
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2018, 12, 20, 17, 0, 6, 476_000, tzinfo=UTC)
QUEUE_URL = "https://sqs.example/RetryQueue"
DELIVERY = {
    "account": "TEST",
    "event": "Backup.Failure",
    "targetId": "1b647dfa18d45e72",
    "occurredAt": "2018-12-20T01:39:38.000Z",
    "subjectId": "3f68fa31-731e-4c77-bbc1-8892ec8667e4",
    "body": '{ "text": "Status: FAILED" }',
    "format": "detailed",
}
MESSAGE = {"delivery": DELIVERY, "attempt": 2, "retries": 1, "dueAt": "2018-12-20T17:00:06.476Z"}

timestamps = st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC)).map(
    lambda timestamp: Timestamp.of(timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000))
)
identifiers = st.text(
    st.sampled_from("#aZ0/ éß中💾'\"\\")
    | st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=64,
)

counts = st.integers(0, 10**9)
deliveries = st.builds(
    Delivery,
    account=identifiers,
    event_type=st.sampled_from(EventType),
    target_id=st.just("1b647dfa18d45e72"),
    occurred_at=timestamps,
    subject_id=identifiers | st.just("#restore#point#"),
    body=st.text() | st.just('"\\\r\n\0💾\u2028'),
    format=st.sampled_from(FORMATS),
)


class Client:
    """An SQS client that records what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **parameters: Any) -> dict[str, Any]:
        self.sent.append(parameters)
        return {"MessageId": str(len(self.sent))}


def attempt_due(due_at: datetime = NOW) -> AttemptDue:
    return AttemptDue(
        delivery=parse_retry_message(json.dumps(MESSAGE)).delivery, number=2, retries=1, due_at=Timestamp.of(due_at)
    )


def sent(attempt_due: AttemptDue, now: datetime = NOW) -> dict[str, Any]:
    client = Client()
    RetryQueue(client, QUEUE_URL).send(attempt_due, now)  # type: ignore[arg-type]
    [parameters] = client.sent
    return parameters


def refusal(message: Any) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        parse_retry_message(message if isinstance(message, str) else json.dumps(message))
    assert len(str(caught.value)) < 400
    return caught.value


def test_the_message_is_json_in_camel_case_with_all_that_an_attempt_takes() -> None:
    assert json.loads(encode_retry_message(attempt_due())) == MESSAGE


@given(st.builds(AttemptDue, delivery=deliveries, number=st.integers(1, 10**9), retries=counts, due_at=timestamps))
def test_an_encoded_message_is_read_back_unchanged(before: AttemptDue) -> None:
    after = parse_retry_message(encode_retry_message(before))

    assert after == before
    assert after.delivery.webhook_id == before.delivery.webhook_id
    assert after.delivery.account_day == before.delivery.account_day
    assert after.delivery.sort_key == before.delivery.sort_key


@given(
    st.builds(
        GroupDue,
        account=identifiers,
        event_type=st.sampled_from(EventType),
        target_id=st.just("1b647dfa18d45e72"),
        due_at=timestamps,
    )
)
def test_a_message_for_a_group_is_recognised_and_read_back_unchanged(before: GroupDue) -> None:
    assert parse_retry_message(encode_retry_message(before)) == before


@pytest.mark.parametrize("field", ["account", "event", "targetId", "dueAt"])
def test_a_missing_field_of_a_message_for_a_group_is_named(field: str) -> None:
    whole = {
        "type": "Group",
        "account": "TEST",
        "event": "Backup.Missing",
        "targetId": "0" * 16,
        "dueAt": MESSAGE["dueAt"],
    }
    parse_retry_message(json.dumps(whole))

    error = refusal({name: value for name, value in whole.items() if name != field})

    assert error.field == "$"
    assert field in error.reason


def test_unknown_fields_are_ignored() -> None:
    assert parse_retry_message(json.dumps(MESSAGE | {"delivery": DELIVERY | {"more": 1}, "more": 1})) == attempt_due()


@pytest.mark.parametrize("field", MESSAGE)
def test_a_missing_field_is_named(field: str) -> None:
    error = refusal({name: value for name, value in MESSAGE.items() if name != field})

    assert error.field == "$"
    assert field in error.reason


@pytest.mark.parametrize("field", [field for field in DELIVERY if field != "format"])
def test_a_missing_field_of_the_delivery_is_named(field: str) -> None:
    error = refusal(MESSAGE | {"delivery": {name: value for name, value in DELIVERY.items() if name != field}})

    assert error.field == "$.delivery"
    assert field in error.reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("attempt", number) for number in (0, -1, 1.5)),
        *(("retries", number) for number in (-1, 0.5)),
        *(("dueAt", text) for text in ("", "2018-12-20", "2018-12-20T17:00:06", "1969-12-31T23:59:59Z")),
        *(("dueAt", text) for text in ("1545325206", "3000-01-01T00:00:00Z", "2018-12-20T25:00:00Z")),
        *((field, wrong) for field in MESSAGE for wrong in (None, True, "1")),
    ],
)
def test_a_field_that_cannot_be_used_is_named(field: str, value: Any) -> None:
    assert refusal(MESSAGE | {field: value}).field == f"$.{field}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("account", text) for text in ("", "x" * 65, "TEST\n", "TE\x00ST")),
        *(("event", text) for text in ("", "Backup.Nothing", "backup.failure")),
        *(("targetId", text) for text in ("", "1b647dfa18d45e7", "1b647dfa18d45e720", "1B647DFA18D45E72")),
        *(("targetId", text) for text in ("1b647dfa18d45e72\n", "1b647dfa18d45e7g", "1b647dfa18d45e7٣")),
        *(("occurredAt", text) for text in ("", "2018-12-20T17:00:06", "1969-12-31T23:59:59Z")),
        *(("subjectId", text) for text in ("", "x" * 218, "x\x00", "\uffff")),
        *(("format", text) for text in ("", "xml", "Text", "text\n")),
        *((field, other) for field in DELIVERY for other in (None, 1, {"text": "x"})),
    ],
)
def test_a_field_of_the_delivery_that_cannot_be_used_is_named(field: str, value: Any) -> None:
    assert refusal(MESSAGE | {"delivery": DELIVERY | {field: value}}).field == f"$.delivery.{field}"


def test_a_message_of_a_version_without_formats_is_text() -> None:
    delivery = {field: value for field, value in DELIVERY.items() if field != "format"}

    assert parse_retry_message(json.dumps(MESSAGE | {"delivery": delivery})).delivery.format == "text"


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "soon", "1", "[" * 100_000, '"\ud800"', '{"attempt": 2}{}'])
def test_other_texts_are_refused_as_a_whole(text: str) -> None:
    assert refusal(text).field == "$"


def test_the_first_attempt_is_number_1_and_due_at_once() -> None:
    first = AttemptDue.first(attempt_due().delivery, NOW)

    assert (first.delivery, first.number, first.retries, first.due_at) == (attempt_due().delivery, 1, 0, NOW)


def test_a_retry_is_one_attempt_more_and_one_step_further_in_the_schedule() -> None:
    first = AttemptDue.first(attempt_due().delivery, NOW)
    second = first.retry(NOW + timedelta(seconds=5))
    third = second.retry(NOW + timedelta(minutes=5))

    assert [(one.number, one.retries) for one in (first, second, third)] == [(1, 0), (2, 1), (3, 2)]
    assert (second.due_at, third.due_at) == (NOW + timedelta(seconds=5), NOW + timedelta(minutes=5))
    assert first.delivery == second.delivery == third.delivery


def test_a_replay_is_one_attempt_more_at_once_with_the_whole_schedule_before_it() -> None:
    last = AttemptDue(delivery=attempt_due().delivery, number=10, retries=9, due_at=Timestamp.of(NOW))
    replay = last.replay(NOW + timedelta(days=3))

    assert (replay.delivery, replay.number, replay.retries) == (last.delivery, 11, 0)
    assert replay.due_at == NOW + timedelta(days=3)
    assert (replay.retry(NOW).number, replay.retry(NOW).retries) == (12, 1)


def test_a_message_is_sent_in_its_targets_group() -> None:
    parameters = sent(attempt_due())

    assert parameters["QueueUrl"] == QUEUE_URL
    assert parse_retry_message(parameters["MessageBody"]) == attempt_due()
    assert parameters["MessageGroupId"] == "1b647dfa18d45e72"


@pytest.mark.parametrize(
    ("due_in", "delay"),
    [
        (timedelta(days=-1), 0),
        (timedelta(milliseconds=-1), 0),
        (timedelta(0), 0),
        # Rounded down, it would come before it is due, and be sent once more.
        (timedelta(milliseconds=1), 1),
        (timedelta(seconds=5), 5),
        (timedelta(seconds=5, milliseconds=1), 6),
        (timedelta(seconds=898, milliseconds=999), 899),
        (timedelta(seconds=899, milliseconds=1), 900),
        (timedelta(minutes=15), 900),
        (timedelta(minutes=15, milliseconds=1), 900),
        (timedelta(hours=24), 900),
        (timedelta(days=300_000), 900),
    ],
    ids=str,
)
def test_it_is_delayed_until_it_is_due_in_whole_seconds_and_for_15_minutes_at_most(
    due_in: timedelta, delay: int
) -> None:
    suppressed = sent(attempt_due(NOW + due_in))["DelaySeconds"]

    assert suppressed == delay
    assert isinstance(suppressed, int)


def test_a_message_that_is_sent_again_is_due_at_the_same_time() -> None:
    due_at = NOW + timedelta(hours=5)

    assert parse_retry_message(sent(attempt_due(due_at), NOW + LONGEST_DELAY)["MessageBody"]).due_at == due_at
