"""AWS Backup's plans through the source's handler, which publishes each change of a server's schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.queue import BackupEventsQueue, NotAllSent
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.sources.aws_backup.backup_client import AwsBackupClient
from backup_webhooks.sources.aws_backup.plan_publisher import AwsPlanPublisher, PlansNotRead
from backup_webhooks.sources.aws_backup.store import AwsBackupStore

from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.stack import Stack
from tests.integration.conftest import Account, Invoke, Source
from tests.support.aws_backup import PLAN, REGION, RULE, VOLUME, example, job_event, plan_answer, rule
from tests.support.fault_proxy import Answer, Call, FaultProxy
from tests.support.policies import at
from tests.support.queue import queued

OTHER = VOLUME + "0"
BY_TAG = {"ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "daily"}]}
READ = {"task": "read-plans"}


def selection(*arns: str, **fields: Any) -> dict[str, Any]:
    return {
        "SelectionName": "servers",
        "IamRoleArn": "arn:aws:iam::1:role/r",
        "Resources": list(arns),
    } | fields


def modified(plan_id: str = PLAN) -> dict[str, Any]:
    """Return AWS's example of a plan's change, for that plan."""
    event = example("plan-modified")
    return event | {"detail": event["detail"] | {"backupPlanId": plan_id}}


def running(hours_ago: float = 0, **detail: Any) -> dict[str, Any]:
    """Return a job created so long ago by the clock of this machine, as the handler has no other."""
    created = utc_now() - timedelta(hours=hours_ago)
    return job_event("RUNNING", creationDate=f"{created:%Y-%m-%dT%H:%M:%SZ}", backupJobId=f"j-{created}", **detail)


@pytest.fixture
def plan(backup: AwsBackup) -> AwsBackup:
    """One plan, at 05:00 each day, that lists two volumes."""
    backup.plans[PLAN] = plan_answer()
    backup.selections[PLAN] = [selection(VOLUME, OTHER)]
    return backup


def policies(stack: Stack) -> list[tuple[str, str]]:
    """Empty the queue. Return the resource and status of each server policy."""
    bodies = [body for body in queued(stack) if body["type"] == "ServerPolicyChanged"]
    return sorted((body["serverId"], body["serverPolicyStatus"]) for body in bodies)


def test_a_modified_plan_is_read_and_its_listed_servers_are_published(
    stack: Stack, source: Source, plan: AwsBackup
) -> None:
    before = utc_now()

    assert source(modified()) == {"told": 2}

    bodies = queued(stack)
    assert [body["serverId"] for body in bodies] == [VOLUME, OTHER]
    body = bodies[0]
    assert before <= datetime.fromisoformat(body.pop("changedDate")) + timedelta(milliseconds=1)
    assert {name: value for name, value in body.items() if value is not None} == {
        "type": "ServerPolicyChanged",
        "serverPolicyId": f"{RULE}/{VOLUME}",
        "accountPolicyId": PLAN,
        "name": "Nightly",
        "clcAccountAlias": "111122223333",
        "serverId": VOLUME,
        "storageRegion": REGION,
        "accountPolicyStatus": "ACTIVE",
        "serverPolicyStatus": "ACTIVE",
        "backupSchedule": "0 0 5 ? * * *",
        "longestRunMinutes": 480 + 10_080,
        "timezone": "UTC",
    }


def test_a_daily_reading_publishes_no_known_server(stack: Stack, source: Source, plan: AwsBackup) -> None:
    assert [source(READ)["told"] for _ in range(3)] == [2, 0, 0]
    assert source(modified()) == {"told": 0}


def test_only_a_change_is_published(stack: Stack, source: Source, plan: AwsBackup) -> None:
    source(READ)
    queued(stack)

    plan.selections[PLAN] = [selection(VOLUME)]
    assert source(READ) == {"told": 1}
    assert policies(stack) == [(OTHER, "INACTIVE")]

    plan.plans[PLAN] = plan_answer(rule("cron(0 6 ? * * *)", ScheduleExpressionTimezone="Europe/Berlin"))
    assert source(modified()) == {"told": 1}
    (body,) = queued(stack)
    assert (body["backupSchedule"], body["timezone"]) == ("0 0 6 ? * * *", "Europe/Berlin")

    plan.selections[PLAN] = [selection(VOLUME, OTHER)]
    assert source(READ) == {"told": 1}
    assert policies(stack) == [(OTHER, "ACTIVE")]


def test_no_backup_of_a_deleted_plan_is_expected_any_more(
    account: Account, stack: Stack, source: Source, plan: AwsBackup, notifier: Invoke
) -> None:
    map_account(stack, account.alias)
    source(READ)
    notifier(*map(json.dumps, queued(stack)))
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    assert all(policy.expected_at for policy in store.of_account(account.alias))

    # The event of the deletion was lost: the daily reading finds the plan missing in the list.
    plan.plans.clear()
    assert [source(READ)["told"] for _ in range(2)] == [2, 0]

    notifier(*map(json.dumps, queued(stack)))
    known = list(store.of_account(account.alias))
    assert [policy.expected_at for policy in known] == [None, None]
    assert {policy.policy and policy.policy.account_policy_status for policy in known} == {"INACTIVE"}


def test_a_deleted_plans_own_event_does_the_same(stack: Stack, source: Source, plan: AwsBackup) -> None:
    source(READ)
    plan.plans.clear()
    queued(stack)

    event = example("plan-deleted")
    assert source(event | {"detail": event["detail"] | {"backupPlanId": PLAN}}) == {"told": 2}
    assert policies(stack) == [(VOLUME, "INACTIVE"), (OTHER, "INACTIVE")]


def test_before_the_source_is_switched_off_all_servers_are_published_as_inactive(
    stack: Stack, source: Source, plan: AwsBackup
) -> None:
    source(READ)
    queued(stack)

    # Otherwise each of them would be reported as missed, day after day.
    assert [source({"task": "expect-nothing"})["told"] for _ in range(2)] == [2, 0]
    assert policies(stack) == [(VOLUME, "INACTIVE"), (OTHER, "INACTIVE")]


def test_a_server_whose_schedule_cannot_be_converted_becomes_inactive(
    stack: Stack, source: Source, plan: AwsBackup, caplog: pytest.LogCaptureFixture
) -> None:
    source(READ)
    queued(stack)

    plan.plans[PLAN] = plan_answer(rule("rate(90 minutes)"))
    assert [source(READ)["told"] for _ in range(2)] == [2, 0]

    assert policies(stack) == [(VOLUME, "INACTIVE"), (OTHER, "INACTIVE")]
    warning = next(vars(record) for record in caplog.records if "cannot be used" in record.message)
    assert warning["backup_rule_id"] == RULE
    assert warning["reason"].startswith("expression: rate(90 minutes)")


def test_a_tagged_resource_is_expected_from_its_first_job_on(stack: Stack, source: Source, backup: AwsBackup) -> None:
    backup.plans[PLAN] = plan_answer()
    backup.selections[PLAN] = [selection(**BY_TAG)]
    assert source(READ) == {"told": 0}

    source(running(1))
    source(running())
    assert policies(stack) == [(VOLUME, "ACTIVE")]
    assert source(READ) == {"told": 0}

    # The resource has lost its tag, so AWS makes no more jobs: two days later no backup is expected.
    assert later(stack, timedelta(hours=47)).publish(PLAN) == 0
    assert later(stack, timedelta(hours=49)).publish(PLAN) == 1
    assert policies(stack) == [(VOLUME, "INACTIVE")]
    # The resource has a newer job.
    source(running(hours_ago=-1))
    assert policies(stack) == [(VOLUME, "ACTIVE")]


def later(stack: Stack, by: timedelta) -> AwsPlanPublisher:
    """Return a plan publisher whose clock is ahead by this much."""
    return AwsPlanPublisher(
        store=AwsBackupStore(stack.client("dynamodb"), stack.outputs["SourcesTableName"]),
        client=AwsBackupClient(_backup_client(stack)),
        queue=BackupEventsQueue(stack.client("sqs"), stack.outputs["BackupEventsQueueUrl"]),
        clock=lambda: utc_now() + by,
    )


def _backup_client(stack: Stack) -> Any:
    assert stack.backup is not None
    return Stack(stack.backup, {}).client("backup")


def test_a_job_of_a_new_rule_publishes_the_rules_schedule_too(stack: Stack, source: Source, plan: AwsBackup) -> None:
    source(READ)
    queued(stack)
    # The event of that change was lost.
    plan.plans[PLAN] = plan_answer(rule("cron(0 6 ? * * *)", rule_id="new"))

    source(running(createdBy={"backupPlanId": PLAN, "backupPlanRuleId": "new"}))

    started, changed = queued(stack)
    assert started["serverPolicyId"] == changed["serverPolicyId"] == f"new/{VOLUME}"
    assert changed["backupSchedule"] == "0 0 6 ? * * *"


def test_an_old_job_that_is_seen_late_makes_no_backup_expected(stack: Stack, source: Source, backup: AwsBackup) -> None:
    backup.plans[PLAN] = plan_answer()

    source(running(hours_ago=72))

    assert policies(stack) == []


def test_a_server_has_its_name_once_that_is_known(stack: Stack, source: Source, plan: AwsBackup) -> None:
    plan.resources = [{"ResourceArn": VOLUME, "ResourceName": "db01"}, {"ResourceArn": OTHER, "ResourceType": "EBS"}]

    source(READ)
    assert policies(stack) == [(OTHER, "ACTIVE"), (f"db01 ({VOLUME})", "ACTIVE")]
    source(running())
    assert {body["serverId"] for body in queued(stack)} == {f"db01 ({VOLUME})"}


def test_a_message_that_the_queue_does_not_take_is_sent_the_next_time(
    stack: Stack, source_at: Callable[..., Source], plan: AwsBackup, sqs_proxy: FaultProxy
) -> None:
    def refuse_the_second(call: Call) -> Answer:
        second = call.parameters["Entries"].pop()
        status, body = call.forward()
        failed = {"Id": second["Id"], "SenderFault": False, "Code": "InternalError"}
        return status, json.dumps(json.loads(body) | {"Failed": [failed]}).encode()

    sqs_proxy.behaviour = refuse_the_second
    with pytest.raises(NotAllSent):
        source_at(sqs=sqs_proxy.url)(modified())
    again = source_at()
    assert policies(stack) == [(VOLUME, "ACTIVE")]

    assert again(modified()) == {"told": 1}
    assert policies(stack) == [(OTHER, "ACTIVE")]


def test_a_plan_that_cannot_be_read_does_not_stop_the_others(stack: Stack, source: Source, plan: AwsBackup) -> None:
    plan.plans["a-first-plan"] = plan_answer(plan_id="a-first-plan")
    denied = (403, {"code": "AccessDeniedException", "message": "made by the test"})
    plan.fault = lambda path: denied if "a-first-plan" in path else None

    with pytest.raises(PlansNotRead):
        source(READ)
    assert policies(stack) == [(VOLUME, "ACTIVE"), (OTHER, "ACTIVE")]


def test_all_pages_of_plans_selections_and_resources_are_read(stack: Stack, source: Source, backup: AwsBackup) -> None:
    backup.page_size = 1
    for number in range(3):
        backup.plans[f"plan-{number}"] = plan_answer(rule(rule_id=f"rule-{number}"), plan_id=f"plan-{number}")
        backup.selections[f"plan-{number}"] = [selection(VOLUME), selection(OTHER)]
    backup.resources = [{"ResourceArn": VOLUME, "ResourceName": "a"}, {"ResourceArn": OTHER, "ResourceName": "b"}]

    assert source(READ) == {"told": 6}
    assert {name[:1] for name, _ in policies(stack)} == {"a", "b"}


def test_a_plan_as_moto_answers_with_it_is_read(stack: Stack) -> None:
    moto = Stack(stack.endpoint, {}).client("backup")
    plan_id = moto.create_backup_plan(
        BackupPlan={
            "BackupPlanName": "OfMoto",
            "Rules": [
                {
                    "RuleName": "daily",
                    "TargetBackupVaultName": "Default",
                    "ScheduleExpression": "cron(0 5 ? * * *)",
                    "StartWindowMinutes": 60,
                }
            ],
        }
    )["BackupPlanId"]
    client = AwsBackupClient(moto)

    read = client.plan(plan_id)

    assert plan_id in client.plan_ids()
    assert read is not None
    assert (read.name, read.region) == ("OfMoto", "us-east-1")
    (only,) = read.rules.values()
    assert only.start_window == timedelta(hours=1)
    assert only.fires_at(at("2026-11-25T05:00:00Z"))
    moto.delete_backup_plan(BackupPlanId=plan_id)
    assert client.plan(plan_id) is None
