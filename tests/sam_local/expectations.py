"""The purpose of each file of events/: the function that gets it, the state before it, and its effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backup_webhooks.history.backup import BackupResult

from local.messages import EVENTS
from local.template import PROJECT
from local.webhooks import targets_store
from tests.support.aws_backup import VOLUME
from tests.support.policies import POLICY_ID, at
from tests.support.sam_world import (
    RECIPIENT,
    UBUNTU,
    World,
    a_job_without_an_event,
    a_plan,
    a_recipient,
    a_recipient_and_a_failure_to_report,
    a_recipient_and_the_failure,
    a_schedule,
    a_start_is_due,
    an_aws_account,
    nothing,
    targets,
)

NOTIFIER, AWS_BACKUP = "NotifierFunction", "AwsBackupFunction"
NO_FAILURES: dict[str, Any] = {"batchItemFailures": []}
FAILURE = {"/Backup.Failure": "Status: FAILED  -  Account: TEST  -  Server: testServerId20190102013933  -  "}
PARTIAL_SUCCESS = {
    "/Backup.PartialSuccess": "Status: PARTIAL_SUCCESS  -  Account: TEST  -  Server: IL1TESTWIND0803  -  "
}
SUCCESS = {"/Backup.Success": "Status: SUCCESS  -  Account: TEST  -  Server: TESTUBUNTUTEST  -  "}
MISSING = {"/Backup.Missing": "testServerId20181228013921 missed a backup expected at 2018-12-20T17:00:06.476Z "}
UNFINISHED = {"/Backup.Unfinished": "testServerId20181228013921 has not finished a backup started at 2018-12-20T17:00"}
STALE = {"/Backup.Stale": "testServerId20181228013921 has had no successful backup since 2018-12-18T17:00:06.476Z "}
RECOVERED = {"/Backup.Recovered": "TESTUBUNTUTEST "}


def events() -> list[str]:
    """Return the names of the files that functions are given."""
    return sorted(path.stem for path in EVENTS.glob("*.json") if path.stem != "env")


@dataclass(frozen=True)
class Expected:
    """`given` prepares the world. `then` checks the world and the function's answer afterwards."""

    function: str
    then: Callable[[World, Any], None]
    given: Callable[[World], None] = nothing


def posted(texts: dict[str, str]) -> Callable[[World, Any], None]:
    """Check for exactly one post with this beginning at each path, and that no message is retried."""

    def check(world: World, answer: Any) -> None:
        assert answer == NO_FAILURES
        assert {path: text[: len(texts.get(path, ""))] for path, text in world.texts().items()} == texts
        assert len(world.receiver.posts) == len(texts)

    return check


def posted_and_passed_on_to_email(texts: dict[str, str]) -> Callable[[World, Any], None]:
    def check(world: World, answer: Any) -> None:
        posted(texts)(world, answer)
        assert len(world.taken_off("EmailNoticesQueue")) == 1

    return check


def the_first_is_posted_and_the_others_are_named(world: World, answer: Any) -> None:
    _, *others = json.loads((EVENTS / "malformed.json").read_text())["Records"]
    posted(FAILURE)(world, NO_FAILURES)
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in others]}


def a_cancelled_backup_is_kept_and_not_posted(world: World, answer: Any) -> None:
    posted({})(world, answer)
    (backup,) = world.backups.between("TEST", at("12-20 00:00"), at("12-21 00:00"))
    assert (backup.result, backup.server_policy_id) == (BackupResult.CANCELLED, UBUNTU)


def the_start_is_known_and_not_posted(world: World, answer: Any) -> None:
    posted({})(world, answer)
    assert world.policies.load("TEST", UBUNTU).history.last_started_at == at("12-20 17:00:02")


def the_heartbeat_is_known_to_be_read(world: World, answer: Any) -> None:
    assert answer == NO_FAILURES
    assert world.heartbeats.load().read == {at("12-20 18:05")}


def the_account_is_below_another(world: World, answer: Any) -> None:
    assert answer == NO_FAILURES
    assert targets_store(world.stack).load("TEST").parent == "OTHR"


def the_schedule_is_known(world: World, answer: Any) -> None:
    assert answer == NO_FAILURES
    tracked = world.policies.load("TEST", UBUNTU)
    assert tracked.policy
    assert tracked.policy.backup_schedule == "0 0 17 * * ?"
    assert tracked.expected_at == at("12-19 17:00")


def the_interval_is_known(world: World, answer: Any) -> None:
    assert answer == NO_FAILURES
    policy = world.policies.load("TEST", POLICY_ID).policy
    assert policy
    assert policy.backup_interval_hours == 6


def no_backup_is_expected(world: World, answer: Any) -> None:
    assert answer == NO_FAILURES
    tracked = world.policies.load("TEST", UBUNTU)
    assert tracked.policy
    assert tracked.policy.server_policy_status == "INACTIVE"
    assert tracked.expected_at is None


def the_miss_and_a_heartbeat_are_sent(world: World, answer: Any) -> None:
    assert answer == {"due": 1, "sent": 1}
    sent = {body["type"]: body for body in world.taken_off("BackupEventsQueue")}
    assert sent["BackupMissed"]["expectedDate"] == "2018-12-20T17:00:00.000Z"
    assert sent["Heartbeat"]["sentDate"] == "2018-12-20T18:13:00.000Z"


def nothing_stands_still(world: World, answer: Any) -> None:
    assert answer == {"stoodStill": 0}


def the_account_is_queued_for_its_report(world: World, answer: Any) -> None:
    assert answer == {"due": 1}
    assert world.taken_off("ReportsQueue") == [{"account": "TEST", "at": "2026-11-25T07:05:00.000Z"}]


def mailed(subject: str, text: str) -> Callable[[World, Any], None]:
    def check(world: World, answer: Any) -> None:
        assert answer == NO_FAILURES
        (mail,) = world.mailbox.of(RECIPIENT)
        assert mail.subject.startswith(subject)
        assert text in mail.text

    return check


def sent_to_events(**facts: str) -> Callable[[World, Any], None]:
    """Check for one message of account TEST on the queue, with these fields."""

    def check(world: World, answer: Any) -> None:
        assert answer == {"told": 1}
        (body,) = world.taken_off("BackupEventsQueue")
        assert {name: body[name] for name in facts} == facts
        assert "TEST" in (body.get("accountAlias"), body.get("clcAccountAlias"))

    return check


def the_page(world: World, answer: Any) -> None:
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer["body"] == (PROJECT / "functions/webhooks_api/page/index.html").read_text()


def the_accounts_webhooks(world: World, answer: Any) -> None:
    assert answer["statusCode"] == 200
    assert f"{world.receiver.url}/Backup.Missing" in answer["body"]


def no_such_key(world: World, answer: Any) -> None:
    assert (answer["statusCode"], answer["body"]) == (404, "No such key.\n")
    assert world.taken_off("BackupEventsQueue") == []


EXPECTED = {
    "backup-failed": Expected(NOTIFIER, posted_and_passed_on_to_email(FAILURE), targets),
    "backup-missed": Expected(NOTIFIER, posted_and_passed_on_to_email(MISSING), targets),
    "backup-unfinished": Expected(NOTIFIER, posted_and_passed_on_to_email(UNFINISHED), targets),
    "backup-stale": Expected(NOTIFIER, posted_and_passed_on_to_email(STALE), targets),
    "backup-partial-success": Expected(NOTIFIER, posted(PARTIAL_SUCCESS), targets),
    "backup-success": Expected(NOTIFIER, posted(SUCCESS), targets),
    "backup-recovered": Expected(NOTIFIER, posted(RECOVERED), targets),
    "backup-cancelled": Expected(NOTIFIER, a_cancelled_backup_is_kept_and_not_posted, targets),
    "backup-started": Expected(NOTIFIER, the_start_is_known_and_not_posted, targets),
    "mixed-batch": Expected(NOTIFIER, posted(FAILURE | PARTIAL_SUCCESS | SUCCESS | MISSING), targets),
    "malformed": Expected(NOTIFIER, the_first_is_posted_and_the_others_are_named, targets),
    "heartbeat": Expected(NOTIFIER, the_heartbeat_is_known_to_be_read),
    "account-changed": Expected(NOTIFIER, the_account_is_below_another),
    "server-policy-cron": Expected(NOTIFIER, the_schedule_is_known),
    "server-policy-interval": Expected(NOTIFIER, the_interval_is_known),
    "server-policy-inactive": Expected(NOTIFIER, no_backup_is_expected, a_schedule),
    "redelivery": Expected("RedelivererFunction", posted(FAILURE), targets),
    "sweep": Expected("RedelivererFunction", nothing_stands_still, targets),
    "tick": Expected("MissedBackupsFunction", the_miss_and_a_heartbeat_are_sent, a_start_is_due),
    "report-tick": Expected("DailyReportFunction", the_account_is_queued_for_its_report, a_recipient),
    "account-report": Expected(
        "DailyReportFunction",
        mailed("Backups of TEST: 1 failed", "to Wed 25 Nov 2026, 07:00 (Europe/Lisbon)"),
        a_recipient_and_a_failure_to_report,
    ),
    "email-notice": Expected(
        "EmailNoticesFunction",
        mailed("Backup failed: testServerId20190102013933 (TEST)", "3f68fa31-731e-4c77-bbc1-8892ec8667e4"),
        a_recipient_and_the_failure,
    ),
    "page": Expected("WebhooksApiFunction", the_page),
    "api-webhooks": Expected("WebhooksApiFunction", the_accounts_webhooks, targets),
    "ping": Expected("PingFunction", no_such_key),
    "aws-backup-completed": Expected(AWS_BACKUP, sent_to_events(restorePointCreationStatus="SUCCESS"), an_aws_account),
    "aws-backup-failed": Expected(AWS_BACKUP, sent_to_events(restorePointCreationStatus="FAILED"), an_aws_account),
    "aws-backup-plans": Expected(AWS_BACKUP, sent_to_events(type="ServerPolicyChanged", serverId=VOLUME), a_plan),
    "aws-backup-reconcile": Expected(
        AWS_BACKUP, sent_to_events(restorePointCreationStatus="SUCCESS"), a_job_without_an_event
    ),
}
