"""Optional facts that cannot be used: they are left out, and the backup is reported all the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import (
    COUNTS,
    BackupFinished,
    BackupMissed,
    BackupStarted,
    encode_message,
    parse_leniently,
)
from backup_webhooks.payloads import FORMATS, render
from msgspec.structs import fields

from tests.support.messages import finished, missed

COUNT_NAMES = [field.encode_name for field in fields(BackupFinished) if field.name in COUNTS]


def with_fact(body: str, name: str, value: str) -> str:
    """Return the message's JSON with one more field, whose value is given as JSON, or as something like it."""
    return body[:-1] + f', "{name}": {value}}}'


FINISHED = finished("TEST", restorePointCreationStatus="FAILED")
STARTED = json.dumps({name: value for name, value in json.loads(FINISHED).items() if name != "restorePointId"})
STARTED = STARTED.replace('"BackupFinished"', '"BackupStarted"')


@pytest.mark.parametrize("value", ["1e400", "-1e400", "9" * 5000, "NaN", "Infinity"], ids=lambda text: text[:9])
@pytest.mark.parametrize("name", COUNT_NAMES)
def test_a_count_that_is_no_number_of_json_is_left_out(name: str, value: str) -> None:
    message, unusable = parse_leniently(with_fact(FINISHED, name, value))

    assert unusable == [name]
    assert isinstance(message, BackupFinished)
    assert message.counts == {}


@pytest.mark.parametrize(
    "value", ['"\\ud83d"', '["\\udc00"]', '{"\\ud83d": 1}', '[1e400, {}, "\\ud800"]', '"a\nb\\ud800"']
)
def test_a_count_with_half_a_character_is_left_out(value: str) -> None:
    message, _ = parse_leniently(with_fact(FINISHED, "filesTransferredToStorage", value))

    assert isinstance(message, BackupFinished)
    assert message.counts == {}
    # Each reader of the message must be able to pass it on.
    assert parse_leniently(encode_message(message)) == (message, ())


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ('"tar: exit \\ud83d"', "tar: exit ?"),
        ('"\\ud83d\\ude00 done \\ude00"', "😀 done ?"),
        ('"two\nlines\\ud800"', "two\nlines?"),
        ("1e400", ""),
    ],
)
def test_backup_output_is_kept_as_far_as_it_is_text(output: str, kept: str) -> None:
    message, _ = parse_leniently(with_fact(FINISHED, "log", output))

    assert isinstance(message, BackupFinished)
    assert message.output == kept
    for name in FORMATS:
        assert render(name, message)


@pytest.mark.parametrize(
    ("body", "name", "kind"),
    [
        (FINISHED, "lastSuccessDate", BackupFinished),
        (missed("TEST"), "missingSinceDate", BackupMissed),
        (missed("TEST"), "lastSuccessDate", BackupMissed),
        (STARTED, "restorePointId", BackupStarted),
    ],
)
@pytest.mark.parametrize("value", ["7", '"yesterday\\ud83d"', '""', "{}", "1e400"])
def test_any_optional_field_that_cannot_be_used_is_left_out(body: str, name: str, kind: type, value: str) -> None:
    message, unusable = parse_leniently(with_fact(body, name, value))

    assert isinstance(message, kind)
    assert unusable == [name]


def test_several_of_them_are_left_out_together() -> None:
    facts: Mapping[str, str] = {"bytesInStorageForItemsRemoved": "1e400", "lastSuccessDate": "5", "log": '"\\ud800"'}
    body = FINISHED
    for name, value in facts.items():
        body = with_fact(body, name, value)

    _, unusable = parse_leniently(body)

    assert unusable == ["bytesInStorageForItemsRemoved", "lastSuccessDate"]


@pytest.mark.parametrize("name", ["serverId", "accountPolicyName", "restorePointId"])
def test_what_says_which_backup_it_was_is_still_required(name: str) -> None:
    fields = json.loads(FINISHED) | {name: "half \ud83d", "filesTransferredToStorage": float("inf")}

    with pytest.raises(InvalidMessage) as refused:
        parse_leniently(json.dumps(fields))

    assert refused.value.field == f"$.{name}"


def test_a_setting_is_not_guessed() -> None:
    body = with_fact(
        '{"type":"ServerPolicyChanged","serverPolicyId":"sp","accountPolicyId":"ap","name":"Nightly",'
        '"clcAccountAlias":"TEST","serverId":"s","storageRegion":"r","accountPolicyStatus":"ACTIVE",'
        '"serverPolicyStatus":"ACTIVE","changedDate":"2018-12-20T17:00:00Z"}',
        "longestRunMinutes",
        "1e400",
    )
    with pytest.raises(InvalidMessage):
        parse_leniently(body)
