"""The payloads that endpoints get: the FAQ's examples to the character, and all formats' expected payloads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from backup_webhooks.payloads import FORMATS, render
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden_payloads import GOLDEN, cases_of, example, golden, path_of

# From the FAQ, "What data is sent in the Webhook event notification?".
FAQ_PAYLOADS = {
    "backup-failed.json": '{ "text": "Status: FAILED  -  Account: TEST  -  Server: testServerId20190102013933  -  Account Policy Name: TestAccountPolicyName20190102013933  -  Restore Point Id: 3f68fa31-731e-4c77-bbc1-8892ec8667e4  -  Finished Date/Time: 2018-12-20 01:39:38 UTC" }',  # noqa: E501
    "backup-partial-success.json": '{ "text": "Status: PARTIAL_SUCCESS  -  Account: TEST  -  Server: IL1TESTWIND0803  -  Account Policy Name: ZZZ USERS  -  Restore Point Id: 5346562d-7d8c-47a6-a11f-fc1f5d0b269320190102125152  -  Finished Date/Time: 2018-12-20 18:00:36 UTC" }',  # noqa: E501
    "backup-missed.json": '{ "text": "testServerId20181228013921 missed a backup expected at 2018-12-20T17:00:06.476Z for policy [TestAccountPolicyName20181228013921] with server policy id [e6ac019b-c646-359a-83a4-b81b5cc1c512] and storage region [US WEST]" }',  # noqa: E501
    "backup-success.json": '{ "text": "Status: SUCCESS  -  Account: TEST  -  Server: TESTUBUNTUTEST  -  Account Policy Name: ZZZ etc  -  Restore Point Id: aee021f6-e9d3-4c13-bff1-a9733bef753220190102170143  -  Finished Date/Time: 2018-12-20 17:01:45 UTC" }',  # noqa: E501
}


def rendered(format_name: str, name: str, **changes: Any) -> dict[str, str]:
    payload: dict[str, str] = json.loads(render(format_name, example(name, **changes)).decode("utf-8"))
    return payload


def text(name: str, **changes: Any) -> str:
    return rendered("text", name, **changes)["text"]


@pytest.mark.parametrize("name", FAQ_PAYLOADS)
def test_the_default_format_is_the_faqs_example_payload_to_the_character(name: str) -> None:
    assert rendered("text", name) == json.loads(FAQ_PAYLOADS[name])


@pytest.mark.parametrize(
    ("format_name", "case"), [(format_name, case) for format_name in FORMATS for case in cases_of(format_name)]
)
def test_a_payload_is_the_expected_one(format_name: str, case: str) -> None:
    written = path_of(format_name, case).read_text(encoding="utf-8")

    assert golden(format_name, case) == written, (
        "if the change is right, run `python -m tests.support.golden_payloads`, and read the diff"
    )


def test_each_expected_payload_has_a_format_and_a_case() -> None:
    there = {path.relative_to(GOLDEN).with_suffix("").parts for path in GOLDEN.glob("*/*")}

    assert there == {(format_name, case) for format_name in FORMATS for case in cases_of(format_name)}


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("xml", example("backup-success.json"))


def test_a_detailed_result_has_its_facts_in_fields_of_their_own() -> None:
    known = {
        "bytesTransferredToStorage": 1.81117417e08,
        "filesTransferredToStorage": 12,
        "lastSuccessDate": "2018-12-18T13:39:38Z",
    }

    assert rendered("detailed", "backup-failed.json", **known) == {
        "text": json.loads(FAQ_PAYLOADS["backup-failed.json"])["text"],
        "event": "Backup.Failure",
        "storageRegion": "US EAST",
        "startedDate": "2018-12-20T01:00:00.000Z",
        "durationSeconds": 2378,
        "bytes": 181117417,
        "files": 12,
        "lastSuccessDate": "2018-12-18T13:39:38.000Z",
        "lastSuccessAgeHours": 36.0,
        "status": "FAILED",
        "account": "TEST",
        "server": "testServerId20190102013933",
        "serverPolicyId": "b2b8ad1a-5d02-4f5b-9c3c-3d5f8d1f6a01",
        "accountPolicyName": "TestAccountPolicyName20190102013933",
        "accountPolicyId": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
        "restorePointId": "3f68fa31-731e-4c77-bbc1-8892ec8667e4",
        "finishedDate": "2018-12-20 01:39:38 UTC",
    }


def test_a_detailed_miss_has_its_facts_in_fields_of_their_own() -> None:
    assert rendered("detailed", "backup-missed.json", lastSuccessDate="2018-12-19T17:32:00Z") == {
        "text": json.loads(FAQ_PAYLOADS["backup-missed.json"])["text"],
        "event": "Backup.Missing",
        "storageRegion": "US WEST",
        "lastSuccessDate": "2018-12-19T17:32:00.000Z",
        "lastSuccessAgeHours": 23.5,
        "account": "TEST",
        "server": "testServerId20181228013921",
        "serverPolicyId": "e6ac019b-c646-359a-83a4-b81b5cc1c512",
        "accountPolicyName": "TestAccountPolicyName20181228013921",
        "accountPolicyId": "6c8a4b1f-4d68-4d2b-9a1c-1a7a3a2a8d22",
        "expectedDate": "2018-12-20T17:00:06.476Z",
    }


@pytest.mark.parametrize("name", FAQ_PAYLOADS)
def test_both_formats_carry_the_same_text(name: str) -> None:
    assert rendered("detailed", name)["text"] == text(name)


def test_emoji_are_kept_and_sent_as_utf_8() -> None:
    body = render("text", example("backup-success.json", accountPolicyName="💾 nightly"))

    assert "Account Policy Name: 💾 nightly  -  ".encode() in body


def test_quotes_and_backslashes_leave_the_json_whole() -> None:
    name = 'a "quoted" \\ name </script>'

    assert f"for policy [{name}] with" in text("backup-missed.json", accountPolicyName=name)


@pytest.mark.parametrize(
    ("date", "written"),
    [
        ("2018-12-20T17:00:06.476999Z", "2018-12-20T17:00:06.476Z"),
        ("2018-12-20T17:00:06.999999Z", "2018-12-20T17:00:06.999Z"),
        ("2018-12-20T17:00:06.000999Z", "2018-12-20T17:00:06.000Z"),
        ("2018-12-20T17:00:06Z", "2018-12-20T17:00:06.000Z"),
        ("2018-12-20T17:00Z", "2018-12-20T17:00:00.000Z"),
        ("2018-12-20T22:30:06.476+05:30", "2018-12-20T17:00:06.476Z"),
        ("2018-12-20T17:00:06.476-0800", "2018-12-21T01:00:06.476Z"),
    ],
)
def test_a_missed_start_is_written_in_utc_and_its_milliseconds_are_cut(date: str, written: str) -> None:
    assert f" missed a backup expected at {written} for policy [" in text("backup-missed.json", expectedDate=date)
    assert rendered("detailed", "backup-missed.json", expectedDate=date)["expectedDate"] == written


@pytest.mark.parametrize(
    ("date", "written"),
    [
        ("2018-12-20T01:39:38.999999Z", "2018-12-20 01:39:38 UTC"),
        ("2018-12-20T01:39Z", "2018-12-20 01:39:00 UTC"),
        ("2018-12-20T01:39:38+05:30", "2018-12-19 20:09:38 UTC"),
        ("2018-12-31T23:39:38-08:00", "2019-01-01 07:39:38 UTC"),
        ("1970-01-01T00:00:00Z", "1970-01-01 00:00:00 UTC"),
        ("2999-12-31T23:59:59Z", "2999-12-31 23:59:59 UTC"),
    ],
)
def test_a_finished_date_is_written_in_utc_and_its_seconds_are_cut(date: str, written: str) -> None:
    assert text("backup-failed.json", backupFinishedDate=date).endswith(f"  -  Finished Date/Time: {written}")
    assert rendered("detailed", "backup-failed.json", backupFinishedDate=date)["finishedDate"] == written


@given(
    format_name=st.sampled_from(["text", "detailed"]),
    name=st.sampled_from(sorted(FAQ_PAYLOADS)),
    policy=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=500),
)
def test_every_name_comes_through_as_valid_json(format_name: str, name: str, policy: str) -> None:
    payload = rendered(format_name, name, accountPolicyName=policy)

    assert policy in payload["text"]
    assert payload.get("accountPolicyName", policy) == policy
