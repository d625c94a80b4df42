"""The source AWS Backup through its real handler: from AWS's event, or the API's list, to the queue and the customer.

The local stack replaces AWS Backup itself, as moto has its plans and not its jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.schedules.quartz import QuartzCron

from local.__main__ import main
from local.aws_backup import AwsBackup
from local.aws_events import AWS_ACCOUNT, map_account
from local.receiver import Receiver
from local.stack import Stack, published
from local.template import PROJECT
from tests.integration.conftest import Account, Handler, Invoke, Source
from tests.support.aws_backup import VOLUME, api_job, example, job_event, plan_answer
from tests.support.aws_calls import CALLS, AwsCalls
from tests.support.fault_proxy import Answer, Call, FaultProxy, internal_server_error
from tests.support.messages import Context
from tests.support.policies import no_policies
from tests.support.queue import queued

FIRST, SECOND, THIRD = (f"2020-07-15T{hour:02}:00:00Z" for hour in (4, 6, 7))


def reconcile(source: Source, time: str, **context: int) -> int:
    return source({"task": "reconcile-jobs", "time": time}, **context)["told"]


def results(stack: Stack) -> list[str]:
    """Empty the queue. Return the status of each message, or its type if it has none."""
    return [body.get("restorePointCreationStatus") or body["type"] for body in queued(stack)]


def test_a_completed_job_reaches_the_customer_of_its_aws_account(
    account: Account, stack: Stack, source: Source, backup: AwsBackup, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(EventType.SUCCESS, receiver.url)
    map_account(stack, account.alias)
    backup.plans = {plan_answer()["BackupPlanId"]: plan_answer()}

    assert source(job_event("COMPLETED")) == {"told": 1}
    notifier(*map(json.dumps, queued(stack)))

    (post,) = receiver.posts
    assert json.loads(post.body) == {
        "text": f"Status: SUCCESS  -  Account: {account.alias}  -  Server: {VOLUME}  -  "
        "Account Policy Name: Nightly  -  Restore Point Id: arn:aws:ec2:us-east-1::snapshot/snap-0726fe70935586180  -  "
        "Finished Date/Time: 2020-07-15 05:21:05 UTC"
    }


def test_an_unmapped_aws_account_is_an_account_of_its_own(stack: Stack, source: Source) -> None:
    source(job_event("FAILED"))

    (body,) = queued(stack)
    assert body["accountAlias"] == AWS_ACCOUNT
    # The plan cannot be read, so its id stands for its name.
    assert body["accountPolicyName"] == body["accountPolicyId"] == plan_answer()["BackupPlanId"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("job-running", ["BackupStarted"]),
        ("job-completed", ["SUCCESS"]),
        ("job-failed", ["FAILED"]),
        ("job-aborted", ["FAILED"]),
        ("job-expired", ["BackupMissed"]),
        ("job-pending", []),
        ("job-created", []),
    ],
)
def test_each_of_awss_examples_is_published_once_however_often_it_comes(
    stack: Stack, source: Source, name: str, kinds: list[str]
) -> None:
    assert [source(example(name)) for _ in range(3)] == [{"told": len(kinds)}, {"told": 0}, {"told": 0}]
    assert results(stack) == kinds


def test_a_start_that_comes_after_the_end_is_not_published(stack: Stack, source: Source) -> None:
    for state in ("COMPLETED", "RUNNING", "COMPLETED"):
        source(job_event(state))
    assert results(stack) == ["SUCCESS"]


def test_a_start_and_an_end_in_their_order_are_both_published(stack: Stack, source: Source) -> None:
    for state in ("CREATED", "PENDING", "RUNNING", "RUNNING", "COMPLETED"):
        source(job_event(state))
    assert results(stack) == ["BackupStarted", "SUCCESS"]


def test_a_lost_end_is_found_and_posted_once(
    account: Account, stack: Stack, source: Source, backup: AwsBackup, notifier: Invoke, receiver: Receiver
) -> None:
    account.set_target(EventType.SUCCESS, receiver.url)
    map_account(stack, account.alias)
    reconcile(source, FIRST)
    source(job_event("RUNNING"))
    backup.jobs = [api_job(job_event("COMPLETED"))]

    assert [reconcile(source, time) for time in (SECOND, THIRD)] == [1, 0]
    # The event was not lost after all.
    assert source(job_event("COMPLETED")) == {"told": 0}

    bodies = [json.dumps(body) for body in queued(stack)]
    notifier(*bodies)
    notifier(*bodies)
    assert [json.loads(body)["type"] for body in bodies] == ["BackupStarted", "BackupFinished"]
    assert len(receiver.posts) == 1


def test_a_lost_start_is_found_while_the_job_runs(stack: Stack, source: Source, backup: AwsBackup) -> None:
    reconcile(source, FIRST)
    backup.jobs = [api_job(job_event("RUNNING"))]

    assert [reconcile(source, time) for time in (SECOND, THIRD)] == [1, 0]
    assert results(stack) == ["BackupStarted"]


@pytest.mark.parametrize(
    ("state", "kind"), [("FAILED", "FAILED"), ("EXPIRED", "BackupMissed"), ("PARTIAL", "PARTIAL_SUCCESS")]
)
def test_each_lost_end_is_found(stack: Stack, source: Source, backup: AwsBackup, state: str, kind: str) -> None:
    reconcile(source, FIRST)
    backup.jobs = [api_job(job_event(state, backupJobId="j-1")), api_job(job_event(state, backupJobId="j-2"))]
    # AWS's example of a failed job has no completion date.
    del backup.jobs[1]["CompletionDate"]

    assert [reconcile(source, time) for time in (SECOND, THIRD)] == [2, 0]
    assert results(stack) == [kind, kind]


def test_a_job_that_ended_before_the_source_was_switched_on_is_not_published(
    stack: Stack, source: Source, backup: AwsBackup
) -> None:
    backup.jobs = [api_job(job_event("COMPLETED"))]

    assert [reconcile(source, time) for time in (SECOND, THIRD)] == [0, 0]


def test_all_pages_of_a_list_are_read_and_children_left_out(stack: Stack, source: Source, backup: AwsBackup) -> None:
    reconcile(source, FIRST)
    backup.page_size = 2
    backup.jobs = [api_job(job_event("COMPLETED", backupJobId=f"j-{number}")) for number in range(5)]
    backup.jobs += [api_job(job_event("COMPLETED", backupJobId="child", parentJobId="j-0"))]
    # AWS may list a job with no more than this. It does not stop the others.
    backup.jobs.insert(0, {"BackupJobId": "j-broken", "State": "FAILED"} | _dates(backup.jobs[0]))

    assert reconcile(source, SECOND) == 5
    assert len({body["serverPolicyId"] for body in queued(stack)}) == 1


def _dates(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in ("CreationDate", "CompletionDate")}


def test_a_throttled_call_is_made_again(stack: Stack, source: Source, backup: AwsBackup) -> None:
    reconcile(source, FIRST)
    backup.jobs = [api_job(job_event("COMPLETED"))]
    answers: list[tuple[int, dict[str, Any]] | None] = [(429, {"code": "ThrottlingException", "message": "Rate"})]
    backup.fault = lambda path: answers.pop() if answers else None

    assert reconcile(source, SECOND) == 1


def test_the_next_reconciliation_continues_one_that_ran_out_of_time(
    stack: Stack, source: Source, backup: AwsBackup
) -> None:
    reconcile(source, FIRST)
    backup.jobs = [api_job(job_event("COMPLETED"))]

    assert reconcile(source, "2020-07-15T09:00:00Z", remaining_milliseconds=0) == 0
    # If the first counted as complete, the second would look back two hours from 09:00.
    assert reconcile(source, "2020-07-15T10:00:00Z") == 1


@pytest.mark.parametrize("completion_date", ["2020-07-15T05:21:05.921Z", None])
def test_a_function_killed_before_it_marked_the_message_as_sent_sends_the_same_again(
    account: Account,
    stack: Stack,
    source_at: Callable[..., Source],
    backup: AwsBackup,
    notifier: Invoke,
    receiver: Receiver,
    dynamodb_proxy: FaultProxy,
    completion_date: str | None,
) -> None:
    account.set_target(EventType.FAILURE, receiver.url)
    map_account(stack, account.alias)
    event = job_event("FAILED", completionDate=completion_date)
    reconcile(source_at(), FIRST)

    def lose_the_mark(call: Call) -> Answer:
        marked = ":sentAt" in call.parameters.get("ExpressionAttributeValues", {})
        return internal_server_error() if marked else call.forward()

    dynamodb_proxy.behaviour = lose_the_mark
    with pytest.raises(Exception, match="InternalServerError"):
        source_at(dynamodb=dynamodb_proxy.url)(event)
    # Meanwhile the plan is renamed, and the API lists no end.
    backup.plans = {plan_answer()["BackupPlanId"]: plan_answer(name="Renamed")}
    backup.jobs = [api_job(event)]
    assert reconcile(source_at(), SECOND) == 1

    first, again = queued(stack)
    assert first == again
    # One after the other: moto's conditional writes are not atomic between threads.
    for body in (first, again):
        notifier(json.dumps(body))
    assert len(receiver.posts) == 1


def test_an_expired_job_is_one_miss_though_missed_backups_has_reported_it_before(
    account: Account,
    stack: Stack,
    source: Source,
    backup: AwsBackup,
    notifier: Invoke,
    receiver: Receiver,
    miss_tick: Callable[[datetime], None],
) -> None:
    account.set_target(EventType.MISSING, receiver.url)
    map_account(stack, account.alias)
    plan = plan_answer()
    backup.plans = {plan["BackupPlanId"]: plan}
    backup.selections = {plan["BackupPlanId"]: [{"SelectionName": "s", "IamRoleArn": "r", "Resources": [VOLUME]}]}
    source({"task": "read-plans"})
    notifier(*map(json.dumps, queued(stack)))
    scheduled = QuartzCron("0 0 5 * * ?").next_after(utc_now())
    assert scheduled

    miss_tick(scheduled + timedelta(hours=2))
    notifier(*[json.dumps(body) for body in queued(stack) if body["type"] == "BackupMissed"])
    assert [json.loads(post.body)["text"] for post in receiver.posts] == [
        f"{VOLUME} missed a backup expected at {scheduled:%Y-%m-%d}T05:00:00.000Z for policy [Nightly] "
        f"with server policy id [1f97bafa-14d6-4f39-94fd-94b51bd6d0d5/{VOLUME}] and storage region [us-east-1]"
    ]
    expired = job_event(
        "EXPIRED",
        creationDate=f"{scheduled + timedelta(minutes=10):%Y-%m-%dT%H:%M:%S.077Z}",
        startBy=f"{scheduled + timedelta(hours=8):%Y-%m-%dT%H:%M:%SZ}",
        completionDate=f"{scheduled + timedelta(hours=8, minutes=2):%Y-%m-%dT%H:%M:%SZ}",
    )
    source(expired)
    source(expired)
    notifier(*map(json.dumps, queued(stack)))
    assert len(receiver.posts) == 1


@pytest.fixture
def miss_tick(stack: Stack, handler_of: Callable[..., Handler]) -> Callable[[datetime], None]:
    """Returns a tick of missed_backups at a time, with a watermark of nine minutes before.

    No other test's server policies are due then: there may be thousands.
    """
    no_policies(stack)

    def tick(now: datetime) -> None:
        handler = handler_of("missed_backups")
        minute = timedelta(minutes=1)
        read = SeenHeartbeat(now - 10 * minute, now - 9 * minute)
        store = WatermarkStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
        store.save_tick(Watermark(seen=(read,), ran_at=now - minute, resumed_at=now - timedelta(days=9)))
        handler({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, Context())

    return tick


@pytest.mark.parametrize(
    "event", [{}, {"detail-type": "Copy Job State Change"}, job_event("COMPLETED", resourceArn=None)]
)
def test_an_event_that_cannot_be_used_fails_with_the_reason(source: Source, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        source(event)


def test_an_event_is_given_to_a_running_stack_from_the_command_line(
    stack: Stack,
    backup: AwsBackup,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # Not the file of a stack that runs beside the tests.
    monkeypatch.setattr("local.stack.STACK_FILE", tmp_path / "stack.json")

    with published(stack):
        for name, answer in (("failed", 1), ("failed", 0), ("reconcile", 0), ("plans", 0)):
            assert main(["aws-backup", str(PROJECT / f"events/aws-backup-{name}.json")]) == 0
            assert json.loads(capsys.readouterr().out) == {"told": answer}
    assert main(["aws-backup", "events/there-is-none.json"]) == 1
    assert results(stack) == ["FAILED"]


def test_an_alias_that_is_too_long_for_a_message_fails_alone(stack: Stack, source: Source, backup: AwsBackup) -> None:
    map_account(stack, "A" * 65)

    with pytest.raises(InvalidMessage, match="accountAlias"):
        source(job_event("COMPLETED"))
    reconcile(source, FIRST)
    backup.jobs = [api_job(job_event("COMPLETED")), api_job(job_event("COMPLETED", backupJobId="other"))]
    backup.jobs[1]["AccountId"] = "444455556666"
    assert reconcile(source, SECOND) == 1
    assert [body["accountAlias"] for body in queued(stack)] == ["444455556666"]


def test_the_state_of_a_job_expires(stack: Stack, source: Source) -> None:
    source(job_event("COMPLETED"))

    key = to_item({"collection": f"aws-backup/job/{job_event('COMPLETED')['detail']['backupJobId']}", "entry": "ended"})
    item = stack.client("dynamodb").get_item(TableName=stack.outputs["SourcesTableName"], Key=key)["Item"]
    assert 34 < (int(item["expiresAt"]["N"]) - utc_now().timestamp()) / 86400 <= 35


def test_an_event_calls_aws_no_more_than_it_did(stack: Stack, source: Source, backup: AwsBackup) -> None:
    backup.plans = {plan_answer()["BackupPlanId"]: plan_answer()}
    source(job_event("COMPLETED", backupJobId="the-first", creationDate="2020-07-14T05:03:31Z"))
    for name, event in (
        ("a job of AWS Backup, its start", job_event("RUNNING")),
        ("a job of AWS Backup, its end", job_event("COMPLETED")),
        ("an event of AWS Backup that is no news", job_event("COMPLETED")),
    ):
        made = AwsCalls()
        with made.counted():
            source(event)
        assert made.actions == CALLS[name], name


def test_a_reconciliation_reads_the_state_of_many_jobs_at_once(stack: Stack, source: Source, backup: AwsBackup) -> None:
    reconcile(source, FIRST)
    table = {"TableName": stack.outputs["SourcesTableName"]}
    for number in range(100):
        event = job_event("COMPLETED", backupJobId=f"j-{number}")
        backup.jobs.append(api_job(event))
        key = {"collection": f"aws-backup/job/j-{number}", "entry": "ended", "sentAt": SECOND}
        stack.client("dynamodb").put_item(**table, Item=to_item(key))

    made = AwsCalls()
    with made.counted():
        assert reconcile(source, SECOND) == 0
    assert made.actions == CALLS["a reconciliation of a hundred jobs that are no news"]
