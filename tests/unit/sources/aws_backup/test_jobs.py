"""AWS Backup's jobs become messages: AWS's documented examples, each state, from events and from the API."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any, cast

import msgspec
import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import BackupFinished, BackupMissed, BackupStarted, encode_message, parse_message
from backup_webhooks.sources.aws_backup.jobs import BackupJob, plan_id_of
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws_backup import (
    PLAN,
    REGION,
    RULE,
    VOLUME,
    api_job,
    example,
    job,
    job_event,
    message,
    plan,
    rule,
)
from tests.support.policies import at

JOBS = ["job-failed", "job-completed", "job-running", "job-aborted", "job-expired"]


def body_of(event: dict[str, Any], **known: Any) -> dict[str, Any]:
    """Return the body of the event's message without its empty fields."""
    body = msgspec.json.decode(encode_message(message(event, **known)))
    return {name: value for name, value in body.items() if value is not None}


def test_awss_example_of_a_completed_job() -> None:
    assert body_of(example("job-completed")) == {
        "type": "BackupFinished",
        "accountAlias": "TEST",
        "serverId": "arn:aws:service:us-west-2:1112233445566:resource-type/resource-id",
        "serverPolicyId": "on-demand/arn:aws:service:us-west-2:1112233445566:resource-type/resource-id",
        "accountPolicyId": "on-demand",
        "accountPolicyName": "On demand",
        "storageRegion": "us-west-2",
        "backupStartedDate": "2020-07-15T21:40:31.000Z",
        "backupFinishedDate": "2020-07-15T21:41:05.000Z",
        "restorePointId": "arn:aws:backup:us-west-2:1112233445566:recovery-point:f1d966fe-a3bd-410b-b292-99f442d13b56",
        "restorePointCreationStatus": "SUCCESS",
        "bytesTransferredToStorage": 36048,
    }


def test_awss_example_of_a_running_job() -> None:
    volume = "arn:aws:ec2:us-west-2:1112233445566:volume/vol-0b5ae24f2ee72d926"
    assert body_of(example("job-running"), known_plan=plan(), resource_name="db01") == {
        "type": "BackupStarted",
        "accountAlias": "TEST",
        "serverId": f"db01 ({volume})",
        "serverPolicyId": f"1f97bafa-14d6-4f39-94fd-94b51bd6d0d5/{volume}",
        "accountPolicyId": "bde0f455-4e24-4668-aeaa-4932a97f5cc5",
        "accountPolicyName": "Nightly",
        "storageRegion": "us-west-2",
        "backupStartedDate": "2020-07-15T21:38:31.000Z",
    }


def test_awss_example_of_a_failed_job_has_no_completion_date_and_ends_at_the_events_time() -> None:
    finished = cast("BackupFinished", message(example("job-failed")))

    assert finished.restore_point_creation_status == "FAILED"
    assert finished.restore_point_id == "34176239-e96d-4e1d-9fad-529dbb3c3556"
    assert finished.backup_finished_date == at("2020-07-29T20:15:26Z")


def test_awss_example_of_an_aborted_job_is_a_failure() -> None:
    finished = cast("BackupFinished", message(example("job-aborted")))

    assert finished.restore_point_creation_status == "FAILED"
    assert finished.restore_point_id == "58cdef95-7680-4c74-80d5-1b64093999c8"
    assert finished.backup_finished_date == at("2020-07-15T21:33:01Z")


def test_awss_example_of_an_expired_job_missed_the_scheduled_start_of_its_rule() -> None:
    event = example("job-expired")
    rule_id = event["detail"]["createdBy"]["backupPlanRuleId"]

    missed = cast("BackupMissed", message(event, plan(rule(rule_id=rule_id))))

    # The job was created at 05:10:20 and had to start by 13:00, eight hours after the scheduled 05:00.
    assert missed.expected_date == at("2020-07-29T05:00:00Z")
    assert missed.account_policy_id == "aws/efs/414a5bd4-f880-47ad-95f3-f085108a4c3b"


@pytest.mark.parametrize("name", ["job-pending", "job-created"])
def test_awss_examples_of_jobs_without_a_result_have_no_message(name: str) -> None:
    assert BackupJob.from_event(example(name)) is None


@pytest.mark.parametrize("name", ["plan-created", "plan-modified", "plan-deleted"])
def test_awss_examples_of_plans_name_the_plan(name: str) -> None:
    assert plan_id_of(example(name)) in example(name)["resources"][0]


@pytest.mark.parametrize("name", JOBS)
def test_an_event_and_the_api_make_the_same_message_of_awss_examples(name: str) -> None:
    event, known = example(name), plan(rule(rule_id="3eb0017c-f262-4211-a802-302cebb11dc2"))
    listed = BackupJob.from_api(api_job(event), event["region"])

    assert listed is not None
    from_api, from_event = listed.message("TEST", known, None), message(event, known)
    if name == "job-failed":
        # Only the event dates the end of this job. The store keeps the message that was made first.
        from_api = msgspec.structs.replace(from_api, backup_finished_date=at("2020-07-29T20:15:26Z"))
    assert encode_message(from_api) == encode_message(from_event)


@pytest.mark.parametrize(
    ("state", "detail", "kind", "status"),
    [
        ("RUNNING", {}, BackupStarted, None),
        ("COMPLETED", {}, BackupFinished, "SUCCESS"),
        ("COMPLETED", {"statusMessage": ""}, BackupFinished, "SUCCESS"),
        ("COMPLETED", {"statusMessage": "Some objects were skipped"}, BackupFinished, "PARTIAL_SUCCESS"),
        ("PARTIAL", {}, BackupFinished, "PARTIAL_SUCCESS"),
        ("FAILED", {"statusMessage": "Access denied"}, BackupFinished, "FAILED"),
        ("ABORTED", {}, BackupFinished, "FAILED"),
        ("EXPIRED", {}, BackupMissed, None),
    ],
)
def test_each_state_has_its_message(state: str, detail: dict[str, str], kind: type, status: str | None) -> None:
    published = message(job_event(state, **detail))

    assert type(published) is kind
    assert getattr(published, "restore_point_creation_status", None) == status
    assert parse_message(encode_message(published)) == published


@pytest.mark.parametrize("state", ["CREATED", "PENDING", "ABORTING", "A NEW ONE"])
def test_states_in_between_have_no_message(state: str) -> None:
    assert BackupJob.from_event(job_event(state)) is None


def test_the_children_of_a_composite_job_have_no_message() -> None:
    assert BackupJob.from_event(job_event("COMPLETED", parentJobId="p-1")) is None
    assert BackupJob.from_api(api_job(job_event("FAILED", parentJobId="p-1")), REGION) is None
    assert job(job_event("PARTIAL", isParent=True)).state == "PARTIAL"


@pytest.mark.parametrize("field", ["backupPlanRuleId", "backupRuleId", "BackupRuleId"])
def test_a_rule_is_known_by_each_of_its_names(field: str) -> None:
    event = job_event("COMPLETED", createdBy={"backupPlanId": PLAN, field: RULE})

    assert message(event).server_policy_id == f"{RULE}/{VOLUME}"


@pytest.mark.parametrize(
    "text",
    [
        "Jul 15, 2020 9:39:07 PM",
        "Jul 15, 2020 9:39:07\u202fPM",
        "2020-07-15T21:39:07Z",
        "2020-07-15T21:39:07.999Z",
        "2020-07-15T23:39:07+02:00",
    ],
)
def test_a_date_is_read_in_either_form_to_the_second(text: str) -> None:
    dates = dict.fromkeys(("creationDate", "completionDate", "startBy"), text)
    read = job(job_event("COMPLETED", **dates))

    assert read.created_at == read.ended_at == read.start_by == at("2020-07-15T21:39:07Z")


def test_a_date_of_the_api_in_another_zone_is_the_same_timestamp() -> None:
    listed = api_job(job_event("COMPLETED"))
    listed["CompletionDate"] = listed["CompletionDate"].astimezone(timezone(timedelta(hours=9)))

    read = BackupJob.from_api(listed, REGION)
    assert read is not None
    assert read.ended_at == at("2020-07-15T05:21:05Z")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "2020-07-15T05:00:00Z"),
        # The window was changed after the job was made: 13:00 less an hour is no start of the rule.
        ({"StartWindowMinutes": 60}, "2020-07-15T05:03:31Z"),
        ({"ScheduleExpression": "rate(12 hours)"}, "2020-07-15T05:03:31Z"),
        ({"RuleId": "another"}, "2020-07-15T05:03:31Z"),
        (
            {"ScheduleExpression": "cron(0 7 ? * * *)", "ScheduleExpressionTimezone": "Europe/Berlin"},
            "2020-07-15T05:00:00Z",
        ),
    ],
)
def test_an_expired_jobs_scheduled_start_is_the_rules_if_the_rule_confirms_it(
    change: dict[str, Any], expected: str
) -> None:
    missed = cast("BackupMissed", message(job_event("EXPIRED"), plan(rule() | change)))

    assert missed.expected_date == at(expected)


def test_an_expired_job_on_demand_missed_the_time_of_its_creation() -> None:
    missed = cast("BackupMissed", message(job_event("EXPIRED", createdBy=None)))

    assert missed.expected_date == at("2020-07-15T05:03:31Z")


def test_a_failed_job_is_identified_by_its_own_id_despite_a_recovery_point() -> None:
    event = job_event("FAILED") | {"resources": ["arn:aws:ec2:us-west-2::snapshot/snap-half"]}

    assert cast("BackupFinished", message(event)).restore_point_id == "a827233a-d405-4a86-a440-759fa94f34dd"


def test_two_long_arns_stay_two_servers() -> None:
    table = f"arn:aws:dynamodb:{REGION}:111122223333:table/" + "t" * 250
    first, second = (message(job_event("COMPLETED", resourceArn=table + end)) for end in "ab")

    assert len({first.server_policy_id, second.server_policy_id}) == len({first.server_id, second.server_id}) == 2
    assert parse_message(encode_message(first)) == first


@given(st.text(min_size=1), st.text(min_size=1), st.text(max_size=300))
def test_the_message_can_be_used_with_any_names_of_aws(arn: str, plan_id: str, resource_name: str) -> None:
    event = job_event("COMPLETED", resourceArn=arn, createdBy={"backupPlanId": plan_id, "backupRuleId": plan_id})

    published = message(event, resource_name=resource_name)

    assert parse_message(encode_message(published)) == published


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"detail": None}, "$.detail"),
        ({"account": None}, "$.account"),
        ({"time": "yesterday"}, "$.time"),
        ({"resources": "none"}, "$.resources"),
        ({"detail": {}}, "$.detail.state"),
        ({"detail": {"state": 7}}, "$.detail.state"),
        (job_event("COMPLETED", resourceArn=None), "$.detail.resourceArn"),
        (job_event("COMPLETED", backupJobId=None), "$.detail.backupJobId"),
        (job_event("COMPLETED", creationDate=None), "$.detail.creationDate"),
        (job_event("COMPLETED", completionDate="Jul 35, 2020 9:39:07 PM"), "$.detail.completionDate"),
        (job_event("COMPLETED", createdBy="a plan"), "$.detail.createdBy"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(event: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        BackupJob.from_event(job_event("COMPLETED") | event)

    assert refusal.value.field == field
