"""Small mornings, each with few calls: short enough to let each of them fail in each way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from backup_webhooks.events.messages import BackupStatus, EventType, ServerPolicyChanged, parse_message
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.reports.recipients import Recipient, ReportFrequency, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.sources.aws_backup.jobs import BackupJob
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target

from local.targets import save_target
from tests.faults.customers import HOUR, MINUTE, Server, targets
from tests.support.api import Answer, Client, of_account
from tests.support.aws_backup import AWS_ACCOUNT, PLAN, VOLUME, api_job, job_event, plan_answer
from tests.world.functions import EMAILS
from tests.world.world import ACCOUNT, BEGIN, EVENTS, World

NEVER_STARTED = Server("silent", BEGIN + 2 * MINUTE)
BACKED_UP = Server("server", BEGIN + 2 * MINUTE)
RECIPIENTS = ("day@example.com", "night@example.com")
# Lambda tries a call of EventBridge three times in all. A person tries as often.
TRIES = 3


@dataclass(frozen=True)
class Scenario:
    """`prepare` runs before any fault, and `go` with it. `check` asserts what holds afterwards, beside all invariants.

    `functions`: the functions whose calls fail. `again`: also fail calls that are like those of an earlier scenario, as
    this one changes something before they are repeated. `posts`: the number of posts without faults. `fewest`: the
    least number with faults. `servers`: the servers whose misses are checked. `environment`: as in `World`.
    """

    prepare: Callable[[World], None]
    go: Callable[[World], None]
    functions: Sequence[str]
    again: bool = False
    posts: int = 0
    fewest: int | None = None
    servers: Sequence[Server] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[World], None] = lambda world: None


def _target(world: World, event: EventType, place: int = 0) -> Target:
    (target,) = (one for one in targets(world.receiver) if one.url.endswith(f"/{event}/{place}"))
    return target


def _set(world: World, event: EventType, place: int = 0) -> None:
    world.set_target(_target(world, event, place))


def _end(world: World, status: BackupStatus) -> None:
    world.say(BACKED_UP.finished(world.now - MINUTE, world.now, status))


# --- deliveries ---


def _refusing_once(world: World) -> None:
    _set(world, EventType.FAILURE)
    statuses = iter([503])
    world.answer = lambda path: next(statuses, 200)


def _refusing(world: World) -> None:
    _set(world, EventType.FAILURE)
    world.answer = lambda path: 503


def _giving_up(world: World) -> None:
    """Run until the delivery is in the dead-letter queue, and redrive it."""
    _end(world, BackupStatus.FAILED)
    world.run(world.now + HOUR)
    # However often the message was sent, it is for one attempt: the next.
    assert {json.loads(body)["attempt"] for body in world.dead_letters.bodies} == {3}
    world.answer = lambda path: 200
    world.redrive()
    world.run(world.now + HOUR)


def _failing_for_days(world: World) -> None:
    """Prepare a target for which one more failure completes five days of failures."""
    _refusing(world)
    store = TargetsStore(world.aws.dynamodb(), "WebhooksTable")
    store.record_failure(world.targets[0], 503, "", slow=False, now=world.now - timedelta(days=6))
    (target,) = store.load(ACCOUNT).targets
    store.record_confirmation(target, world.now - timedelta(days=5) + timedelta(seconds=2))


def _switching_off(world: World) -> None:
    """If the message of the last retry comes again, its target is off. Then the customer switches it on."""
    _end(world, BackupStatus.FAILED)
    world.run(world.now + HOUR)
    (entry,) = world.log()
    assert (entry["state"] == "exhausted" and world.dead_letters.bodies) or entry["state"] in ("failed", "claimed")
    world.answer = lambda path: 200
    save_target(TargetsStore(world.aws.dynamodb(), "WebhooksTable"), world.targets[0])
    world.redrive()
    world.run(world.now + HOUR)


def _failing(world: World) -> None:
    _end(world, BackupStatus.FAILED)
    world.run(world.now + HOUR)


def _grouping(world: World) -> None:
    _set(world, EventType.SUCCESS)


def _succeeding(world: World) -> None:
    _end(world, BackupStatus.SUCCESS)
    world.run(world.now + HOUR)


def _succeeding_twice(world: World) -> None:
    for name in ("one", "other"):
        world.say(Server(name, BEGIN).finished(world.now - MINUTE, world.now, BackupStatus.SUCCESS))
    world.run(world.now + HOUR)


def _not_grouping_any_more(world: World) -> None:
    """If the message comes again, the target has no grouping. The event may be in a group that has no message."""
    _end(world, BackupStatus.SUCCESS)
    world.run(world.now + 2 * MINUTE)
    changed = replace(world.targets[0], preferences=Preferences())
    save_target(TargetsStore(world.aws.dynamodb(), "WebhooksTable"), changed)
    world.start_functions()
    world.run(world.now + HOUR)


def _reminding(world: World) -> None:
    _set(world, EventType.FAILURE, 1)


def _failing_for_an_hour(world: World) -> None:
    _end(world, BackupStatus.FAILED)
    world.run(world.now + 85 * MINUTE)
    _end(world, BackupStatus.SUCCESS)
    world.run(world.now + 2 * HOUR)


def _recovering(world: World) -> None:
    for status in (BackupStatus.FAILED, BackupStatus.SUCCESS):
        _end(world, status)
        world.run(world.now + HOUR)


def _reporting_recoveries(world: World) -> None:
    _set(world, EventType.RECOVERED)


# --- misses ---


def _never_started(world: World) -> None:
    """Run until a tick finds the miss: its first heartbeat was read long enough ago."""
    _set(world, EventType.MISSING)
    world.say(NEVER_STARTED.schedule)
    world.pause = lambda: 8 * MINUTE
    world.tick_at = BEGIN + 63 * MINUTE
    world.run(until=BEGIN + 79 * MINUTE)
    assert world.tick_at == world.now


def _judging(world: World) -> None:
    """Tick twice: the second does what the first could not."""
    world.run(until=world.now + 9 * MINUTE)
    world.tick_at = None
    world.run(until=world.now + HOUR)


# --- AWS Backup ---


def _repeat(world: World, call: Callable[[], Any]) -> Any:
    """Call until there is an answer, a minute after each failure."""
    for _ in range(TRIES):
        answer = call()
        if answer is not None:
            return answer
        world.run(world.now + MINUTE)
    raise AssertionError(f"failed {TRIES} times")


def _planned(world: World) -> None:
    """Map the AWS account. AWS Backup has a plan for two volumes, or so many as there are suffixes."""
    _set(world, EventType.FAILURE)
    mapping = {"collection": "aws-backup/accounts", "entry": AWS_ACCOUNT, "alias": ACCOUNT}
    world.aws.dynamodb().put_item(
        TableName="SourcesTable", Item={name: {"S": value} for name, value in mapping.items()}
    )
    world.aws.backup_service.plans = {PLAN: plan_answer()}
    chosen = {"SelectionName": "servers", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": [VOLUME, f"{VOLUME}0"]}
    world.aws.backup_service.selections = {PLAN: [chosen]}


def _job(world: World, state: str) -> dict[str, Any]:
    def at(minutes: int) -> str:
        return f"{BEGIN + minutes * MINUTE:%Y-%m-%dT%H:%M:%SZ}"

    ended = {"completionDate": at(20)} if state == "FAILED" else {}
    return job_event(state, creationDate=at(0), startBy=at(480), **ended)


def _jobs_events(world: World) -> None:
    for state in ("RUNNING", "FAILED"):
        job = BackupJob.from_event(_job(world, state))
        assert job
        _repeat(
            world,
            lambda job=job: world.invoke("aws_backup", lambda _: world.functions.aws_jobs.publish(job)),  # type: ignore[misc]
        )
    world.run(world.now + HOUR)


def _reconciled_before(world: World) -> None:
    _planned(world)
    assert world.functions.aws_jobs.reconcile(BEGIN - HOUR, world.now + HOUR) == 0
    world.aws.backup_service.jobs = [api_job(_job(world, "FAILED"))]


def _reconciling(world: World) -> None:
    """Reconcile each hour: the second finds what the first could not publish."""
    for _ in range(2):
        world.invoke("aws_backup", lambda deadline: world.functions.aws_jobs.reconcile(world.now, deadline))
        world.run(world.now + HOUR)


def _reading_plans(world: World) -> None:
    _repeat(world, lambda: world.invoke("aws_backup", world.functions.aws_plans.publish_all))
    world.run(world.now + HOUR)


def _a_backup_was_published(world: World) -> None:
    kinds = Counter(type(message).__name__ for message in {parse_message(body) for body in world.sqs.accepted[EVENTS]})
    assert kinds["BackupFinished"] == 1


def _two_servers_are_expected(world: World) -> None:
    store = ServerPoliciesStore(world.aws.dynamodb(), "ServerPoliciesTable")
    assert len([policy for policy in store.of_account(ACCOUNT) if policy.expected_at]) == 2
    assert {type(parse_message(body)) for body in world.sqs.accepted[EVENTS]} == {ServerPolicyChanged}


# --- e-mail ---


def _with_recipients(world: World) -> None:
    recipients = [Recipient(address, ReportFrequency.DAILY, on_failure=True) for address in RECIPIENTS]
    store = ReportSettingsStore(world.aws.dynamodb(), "WebhooksTable", lambda: world.now)
    store.change(ACCOUNT, lambda _: ReportSettings(recipients))


def _failing_quietly(world: World) -> None:
    _end(world, BackupStatus.FAILED)
    world.run(world.now + HOUR)


def _with_a_backup_to_report(world: World) -> None:
    _with_recipients(world)
    _end(world, BackupStatus.SUCCESS)
    world.run(BEGIN + HOUR)


def _reporting(world: World) -> None:
    """Tick three times: the second and the third find what is left."""
    for _ in range(3):
        world.run(world.now + 15 * MINUTE)
        world.invoke("daily_report", lambda deadline: world.functions.due_reports.tick(world.now, deadline))
        world.run(world.now + 45 * MINUTE)


def _each_has_its_email(world: World) -> None:
    """One e-mail may come twice: if SES's answer is lost, or the function ends before it has recorded it as sent."""
    mails = Counter(mail.to for mail in world.aws.mailbox.mails)
    assert set(mails) == set(RECIPIENTS)
    assert mails.total() <= len(RECIPIENTS) + 1
    assert len({mail.subject for mail in world.aws.mailbox.mails}) == 1


def _the_backup_is_kept(world: World) -> None:
    _each_has_its_email(world)
    store = BackupsStore(world.aws.dynamodb(), "BackupsTable")
    assert [len(list(page)) for page in store.recorded(ACCOUNT, BEGIN - HOUR, BEGIN + HOUR)] == [1]


# --- the API ---


def _now(world: World) -> None:
    """The API's clock is the real one."""
    world.now = utc_now()
    world.answer = lambda path: 503


def _ask(world: World, method: str, path: Sequence[str], body: Any = None) -> Answer:
    """Send a request, and repeat it after an error of the service, as a person would."""

    def handle(event: dict[str, Any], context: Any) -> Any:
        killed = {"statusCode": 500, "headers": {}}
        return world.invoke("webhooks_api", lambda _: world.aws.api.answer(event, context)) or killed

    def ask() -> Answer | None:
        answer = Client(handle, ACCOUNT).request(method, of_account(ACCOUNT, *path), body, {"host": "page.example"})
        return None if answer.status >= 500 else answer

    answer: Answer = _repeat(world, ask)
    return answer


def _using_the_api(world: World) -> None:
    target = _target(world, EventType.FAILURE)
    wanted = {"targetUris": [{"targetUri": target.url, "format": target.format}]}
    assert _ask(world, "PUT", [EventType.FAILURE, "configuration"], wanted).status == 204
    world.targets.extend(TargetsStore(world.aws.dynamodb(), "WebhooksTable").load(ACCOUNT).targets)
    recipients = {"recipients": [{"address": RECIPIENTS[0]}]}
    assert _ask(world, "PUT", ["reportRecipients"], recipients).status == 204
    key = {"serverId": "fileserver", "accountPolicyName": "Nightly", "backupSchedule": "0 0 1 * * ?"}
    assert _ask(world, "POST", ["pingKeys"], key).status == 201
    _end(world, BackupStatus.FAILED)
    world.run(world.now + 5 * MINUTE)
    world.answer = lambda path: 200
    (delivery,) = _ask(world, "GET", ["deliveries"]).json["items"]
    # Nothing fails the message after its POST, even if no try could record the outcome.
    assert delivery["state"] in {"failed", "claimed"}
    assert _ask(world, "POST", ["deliveries", delivery["deliveryId"], "replay"]).status == 202
    world.run(world.now + HOUR)


def _the_api_has_done_it(world: World) -> None:
    (target,) = TargetsStore(world.aws.dynamodb(), "WebhooksTable").load(ACCOUNT).targets
    assert target.url == world.targets[0].url
    settings = ReportSettingsStore(world.aws.dynamodb(), "WebhooksTable").load(ACCOUNT)
    assert [recipient.address for recipient in settings.recipients] == [RECIPIENTS[0]]
    # A key whose answer was lost may be there too.
    store = ServerPoliciesStore(world.aws.dynamodb(), "ServerPoliciesTable")
    assert 1 <= len([policy for policy in store.of_account(ACCOUNT) if policy.expected_at]) <= 2
    (delivery,) = world.log()
    assert delivery["state"] in {"delivered", "claimed"}


DELIVERING = ("notifier", "redeliverer")
ONE_RETRY = {"RETRY_DELAYS_SECONDS": "5"}
SCENARIOS = {
    "a failure that is retried": Scenario(_refusing_once, _failing, DELIVERING, posts=2),
    "a failure that is given up and redriven": Scenario(
        _refusing, _giving_up, ("redeliverer",), posts=3, environment=ONE_RETRY
    ),
    # A fault that delays the first attempt makes it switch the target off itself.
    "a last failure that switches its target off": Scenario(
        _failing_for_days, _switching_off, ("redeliverer",), again=True, posts=3, fewest=1, environment=ONE_RETRY
    ),
    "two successes that are grouped": Scenario(_grouping, _succeeding_twice, DELIVERING, posts=1),
    "a group that its target does not want any more": Scenario(
        _grouping, _not_grouping_any_more, ("notifier",), again=True, posts=1
    ),
    "a failure with a reminder": Scenario(_reminding, _failing_for_an_hour, DELIVERING, posts=2),
    "a recovery": Scenario(_reporting_recoveries, _recovering, ("notifier",), posts=1),
    "a miss": Scenario(_never_started, _judging, ("missed_backups", "notifier"), posts=1, servers=[NEVER_STARTED]),
    "a job of AWS Backup": Scenario(_planned, _jobs_events, ("aws_backup",), posts=1, check=_a_backup_was_published),
    "a job of AWS Backup whose events are lost": Scenario(
        _reconciled_before, _reconciling, ("aws_backup",), posts=1, check=_a_backup_was_published
    ),
    "a plan of AWS Backup": Scenario(_planned, _reading_plans, ("aws_backup",), check=_two_servers_are_expected),
    "an e-mail at once": Scenario(
        _with_recipients,
        _failing_quietly,
        ("notifier", "email_notices"),
        environment=EMAILS,
        check=_each_has_its_email,
    ),
    "a daily report": Scenario(_with_a_backup_to_report, _reporting, ("daily_report",), check=_each_has_its_email),
    "targets, recipients, a ping key and a replay by the API": Scenario(
        _now, _using_the_api, ("webhooks_api",), posts=2, check=_the_api_has_done_it
    ),
}
