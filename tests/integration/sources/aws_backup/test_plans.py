"""AWS Backup's plans through the source's handler: which servers are to be backed up when, told as it changes."""

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
    """AWS's example of a plan's change, of that plan."""
    event = example("plan-modified")
    return event | {"detail": event["detail"] | {"backupPlanId": plan_id}}


def running(hours_ago: float = 0, **detail: Any) -> dict[str, Any]:
    """A job that was created so long ago by the clock of this machine, as the handler has no other."""
    created = utc_now() - timedelta(hours=hours_ago)
    return job_event("RUNNING", creationDate=f"{created:%Y-%m-%dT%H:%M:%SZ}", backupJobId=f"j-{created}", **detail)


@pytest.fixture
def plan(backup: AwsBackup) -> AwsBackup:
    """One plan, at 05:00 each day, of which two volumes are listed."""
    backup.plans[PLAN] = plan_answer()
    backup.selections[PLAN] = [selection(VOLUME, OTHER)]
    return backup


def policies(stack: Stack) -> list[tuple[str, str]]:
    """What is on the queue of server policies, as resource and status; and then no more."""
    bodies = [body for body in queued(stack) if body["type"] == "ServerPolicyChanged"]
    return sorted((body["serverId"], body["serverPolicyStatus"]) for body in bodies)


def test_a_plan_that_is_modified_is_read_and_its_listed_servers_are_told(
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
        "timezone": "UTC",
    }


def test_a_daily_reading_tells_nothing_that_is_known(stack: Stack, source: Source, plan: AwsBackup) -> None:
    assert [source(READ)["told"] for _ in range(3)] == [2, 0, 0]
    assert source(modified()) == {"told": 0}


def test_a_change_is_told_and_only_that(stack: Stack, source: Source, plan: AwsBackup) -> None:
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


def test_of_a_deleted_plan_nothing_is_expected_any_more(
    account: Account, stack: Stack, source: Source, plan: AwsBackup, notifier: Invoke
) -> None:
    map_account(stack, account.alias)
    source(READ)
    notifier(*map(json.dumps, queued(stack)))
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    assert all(policy.expected_at for policy in store.of_account(account.alias))

    # Its event was lost: the daily reading misses it in the list.
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


def test_before_the_source_is_switched_off_all_servers_are_told_as_inactive(
    stack: Stack, source: Source, plan: AwsBackup
) -> None:
    source(READ)
    queued(stack)

    # Else each of them would be told as missed, day after day.
    assert [source({"task": "expect-nothing"})["told"] for _ in range(2)] == [2, 0]
    assert policies(stack) == [(VOLUME, "INACTIVE"), (OTHER, "INACTIVE")]


def test_a_schedule_that_can_not_be_expressed_is_no_schedule(
    stack: Stack, source: Source, plan: AwsBackup, caplog: pytest.LogCaptureFixture
) -> None:
    source(READ)
    queued(stack)

    plan.plans[PLAN] = plan_answer(rule("rate(90 minutes)"))
    assert [source(READ)["told"] for _ in range(2)] == [2, 0]

    assert policies(stack) == [(VOLUME, "INACTIVE"), (OTHER, "INACTIVE")]
    warning = next(vars(record) for record in caplog.records if "can't be used" in record.message)
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

    # Its tag is gone, and so AWS makes no more jobs: two days later nothing is expected.
    assert later(stack, timedelta(hours=47)).read(PLAN) == 0
    assert later(stack, timedelta(hours=49)).read(PLAN) == 1
    assert policies(stack) == [(VOLUME, "INACTIVE")]
    # Now it has a newer one.
    source(running(hours_ago=-1))
    assert policies(stack) == [(VOLUME, "ACTIVE")]


def later(stack: Stack, by: timedelta) -> AwsPlanPublisher:
    """What reads the plans, so much later."""
    return AwsPlanPublisher(
        store=AwsBackupStore(stack.client("dynamodb"), stack.outputs["SourcesTableName"]),
        reader=AwsBackupClient(_backup_client(stack)),
        queue=BackupEventsQueue(stack.client("sqs"), stack.outputs["BackupEventsQueueUrl"]),
        clock=lambda: utc_now() + by,
    )


def _backup_client(stack: Stack) -> Any:
    assert stack.backup is not None
    return Stack(stack.backup, {}).client("backup")


def test_a_job_of_a_rule_that_is_new_tells_of_the_rule_too(stack: Stack, source: Source, plan: AwsBackup) -> None:
    source(READ)
    queued(stack)
    # The event of that change was lost.
    plan.plans[PLAN] = plan_answer(rule("cron(0 6 ? * * *)", rule_id="new"))

    source(running(createdBy={"backupPlanId": PLAN, "backupPlanRuleId": "new"}))

    started, changed = queued(stack)
    assert started["serverPolicyId"] == changed["serverPolicyId"] == f"new/{VOLUME}"
    assert changed["backupSchedule"] == "0 0 6 ? * * *"


def test_an_old_job_that_is_heard_of_late_makes_nothing_expected(
    stack: Stack, source: Source, backup: AwsBackup
) -> None:
    backup.plans[PLAN] = plan_answer()

    source(running(hours_ago=72))

    assert policies(stack) == []


def test_a_server_is_called_by_its_name_once_that_is_known(stack: Stack, source: Source, plan: AwsBackup) -> None:
    plan.resources = [{"ResourceArn": VOLUME, "ResourceName": "db01"}, {"ResourceArn": OTHER, "ResourceType": "EBS"}]

    source(READ)
    assert policies(stack) == [(OTHER, "ACTIVE"), (f"db01 ({VOLUME})", "ACTIVE")]
    source(running())
    assert {body["serverId"] for body in queued(stack)} == {f"db01 ({VOLUME})"}


def test_what_the_queue_does_not_take_is_told_the_next_time(
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


def test_a_plan_that_can_not_be_read_harms_no_other(stack: Stack, source: Source, plan: AwsBackup) -> None:
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
    reader = AwsBackupClient(moto)

    read = reader.plan(plan_id)

    assert plan_id in reader.plan_ids()
    assert read is not None
    assert (read.name, read.region) == ("OfMoto", "us-east-1")
    (only,) = read.rules.values()
    assert only.start_window == timedelta(hours=1)
    assert only.fires_at(at("2026-11-25T05:00:00Z"))
    moto.delete_backup_plan(BackupPlanId=plan_id)
    assert reader.plan(plan_id) is None
