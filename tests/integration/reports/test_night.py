"""A night of 500 servers through the whole local stack: functions in their processes, queues, posts over HTTP.

With REAL_BACKUPS=1, which lets restic and Borg make the backups of some of them; else 100, whose scripts only ping.
NIGHT_SERVERS=… makes it a night of as many, and NIGHT_SEED=… the one that was before.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from copy import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.targets.preferences import Preferences

from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.clock import LocalClock
from local.demo import functions_running
from local.http_api import Authorizer, HttpApi
from local.receiver import Receiver
from local.scheduler import RateScheduler
from local.sign_in import SignIn
from local.stack import STACK_FILE, Stack
from local.template import Template
from local.worker import Worker
from tests.integration.conftest import Account
from tests.integration.sources.test_scripts import needs
from tests.support.aws_backup import PLAN
from tests.support.night import (
    DAY,
    NIGHT_LASTS,
    STEP,
    Server,
    Source,
    Told,
    expected,
    expected_before,
    planned_at,
    servers,
    suppressed,
)
from tests.support.night_sources import plan, quartz
from tests.support.night_world import Night
from tests.support.policies import no_policies

REAL = "REAL_BACKUPS" in os.environ
# A night of 500 takes two minutes on moto: too long for each run of all tests.
NUMBER = int(os.environ.get("NIGHT_SERVERS") or (500 if REAL else 100))
_OTHERS = {Source.PINGS: NUMBER * 34 // 500, Source.AWS_BACKUP: NUMBER * 40 // 500, Source.RESTIC: 3, Source.BORG: 3}
NUMBER_OF = {Source.MESSAGES: NUMBER - sum(_OTHERS.values())} | _OTHERS
PINGING = (Source.PINGS, Source.RESTIC, Source.BORG)
# A batch is handled within that time, so its messages do not come again.
COMES_AGAIN_SECONDS = 5
HOUR = timedelta(hours=1)

_TOLD = [
    re.compile(r"^Status: (?P<says>\w+)  -  Account: (?P<account>\w+)  -  Server: (?P<server>\S+)  -  "),
    re.compile(r"^(?P<server>\S+) missed a backup expected at (?P<says>\S+) for policy "),
    re.compile(r"^(?P<server>\S+) recovered with restore point .*, after (?P<says>\d+ \w+) backup since "),
]


@pytest.fixture
def impatient(stack: Stack) -> Iterator[None]:
    """Let SQS deliver a message again within seconds, such as one that another function holds."""
    sqs = stack.client("sqs")
    url, name = stack.outputs["BackupEventsQueueUrl"], "VisibilityTimeout"
    usual = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(COMES_AGAIN_SECONDS)})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=usual)


@pytest.fixture
def clock() -> LocalClock:
    return LocalClock()


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("NIGHT_SEED") or random.randrange(2**32))
    print(f"NIGHT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def night(
    stack: Stack,
    template: Template,
    backup: AwsBackup,
    impatient: None,
    account: Account,
    clock: LocalClock,
    chance: random.Random,
) -> Iterator[Night]:
    if REAL:
        needs("restic")
        needs("borg")
    no_policies(stack)
    functions, ticks = stack.functions(), "MissedBackupsFunction"
    (route,) = (route for route in template.http_routes if route.function == "PingFunction")
    (schedule,) = (schedule for schedule in template.schedules if schedule.function == ticks)
    with ExitStack() as running:

        def worker(name: str) -> Worker:
            log = STACK_FILE.parent / f"{name}.log"
            return running.enter_context(closing(Worker(functions[name], template.sources[name], stack, log)))

        gateway = HttpApi([route], {route.function: [worker(route.function)]}, Authorizer("", ""), clock=clock)
        # The test makes the ticks.
        running.enter_context(functions_running(replace(template, schedules=()), stack, clock))
        yield Night(
            stack,
            account.alias,
            clock,
            RateScheduler(schedule, worker(ticks), clock),
            worker("AwsBackupFunction"),
            running.enter_context(gateway),
            chance,
        )
    no_policies(stack)


type MakeUrl = Callable[[Server], str]


@pytest.fixture
def keys(served: HttpApi, sign_in: SignIn, account: Account, night: Night) -> MakeUrl:
    """Return a function that makes a server's ping URL with the API."""
    headers = {"authorization": f"Bearer {sign_in.access_token(account.alias)}"}

    def make(server: Server) -> str:
        wanted = {
            "serverId": server.server_id,
            "accountPolicyName": "Nightly",
            "backupSchedule": quartz(server.tonight.scheduled_at),
        }
        answer = urllib3.request(
            "POST", f"{served.url}/v2/webhooks/{account.alias}/pingKeys", json=wanted, headers=headers
        )
        assert answer.status == 201
        return night.gateway.url + urlsplit(answer.json()["url"]).path

    return make


def read(path: str, body: str | bytes, account: Account) -> Told:
    """Return a post's content as a person reads it."""
    _, target, event = path.split("/")
    text = json.loads(body)["text"]
    (found,) = filter(None, (pattern.match(text) for pattern in _TOLD))
    assert found.groupdict().get("account", account.alias) == account.alias
    return Told(target, event, found["server"], found["says"])


def log_of(stack: Stack, account: Account, dusk: datetime) -> list[dict[str, Any]]:
    """Return the delivery log of tonight and of the night before."""
    days = {f"{dusk + hours * HOUR:%Y-%m-%d}" for hours in range(-25, NIGHT_LASTS // HOUR + 1)}
    pages = stack.client("dynamodb").get_paginator("query")
    return [
        from_item(item)
        for day in days
        for page in pages.paginate(
            TableName=stack.outputs["DeliveriesTableName"],
            KeyConditionExpression="accountDay = :day",
            ExpressionAttributeValues={":day": {"S": f"{account.alias}#{day}"}},
            ConsistentRead=True,
        )
        for item in page["Items"]
    ]


def test_of_a_night_each_is_told_what_a_person_would_expect(
    night: Night, keys: MakeUrl, account: Account, stack: Stack, backup: AwsBackup, receiver: Receiver
) -> None:
    """Messages come shuffled, repeated, up to an hour late. No event is lost, sent twice, or sent of an open run."""
    targets = {
        account.set_target(event, f"{receiver.url}/{target}/{event}", preferences=preferences).target_id: target
        for target, preferences in (("all", Preferences()), ("changes", Preferences(changes_only=True)))
        for event in EventType
    }
    # Ping keys and plans count from now on, so the night must begin later.
    dusk = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    everybody = servers(NUMBER_OF, dusk, night.chance)
    backup.plans[PLAN] = plan(planned_at(dusk))
    listed = [server.server_id for server in everybody if server.source is Source.AWS_BACKUP]
    backup.selections[PLAN] = [{"SelectionName": "servers", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": listed}]
    map_account(stack, account.alias)

    night.aws_backup.invoke({"task": "read-plans"})
    for server in everybody:
        if server.before:
            night.plan(server, server.before, policy_since=dusk - DAY - HOUR)
    for place in range(3):
        night.go_on(dusk - DAY + NIGHT_LASTS + place * STEP)
    before = len(receiver.posts)
    assert_equal(Counter(read(post.path, post.body, account) for post in receiver.posts), expected_before(everybody))

    scripted = []
    for server in everybody:
        url = keys(server) if server.source in PINGING else ""
        if REAL and server.source in (Source.RESTIC, Source.BORG):
            scripted.append((server, url))
        else:
            night.plan(server, server.tonight, policy_since=None if server.before else dusk - HOUR, url=url)
    for place in range(NIGHT_LASTS // STEP + 1):
        night.go_on(dusk + place * STEP, scripted)
    assert (night.to_say, night.to_ping) == ([], []), "all of the night is over"

    told = Counter(read(post.path, post.body, account) for post in receiver.posts[before:])
    print_counts(everybody, told)
    assert_equal(told, expected(everybody))
    log = log_of(stack, account, dusk)
    ids = {
        state: sorted(one["webhookId"] for one in log if one["state"] == state) for state in ("delivered", "heldBack")
    }
    assert len(log) == sum(map(len, ids.values()))
    assert ids["delivered"] == sorted(post.headers["webhook-id"] for post in receiver.posts)
    assert {targets[one["targetId"]] for one in log if one["state"] == "heldBack"} == {"changes"}
    unheard = (read(urlsplit(one["url"]).path, one["body"], account) for one in log if one["state"] == "heldBack")
    assert_equal(Counter((told.event, told.server_id) for told in unheard), suppressed(everybody))


def assert_equal[Key](found: Counter[Key], expected: Counter[Key]) -> None:
    """Compare the counts, and show only what is lost and what is too much."""
    assert (sorted((expected - found).elements()), sorted((found - expected).elements())) == ([], [])


def print_counts(everybody: Sequence[Server], told: Counter[Told]) -> None:
    """Print the night in figures."""
    for name, counted in (
        ("servers by source", Counter(server.source for server in everybody)),
        ("servers by kind", Counter(server.kind.name for server in everybody)),
        ("posts", Counter(f"{one.target}/{one.event}" for one in told.elements())),
    ):
        print(f"{name}: {counted.total()}: " + ", ".join(f"{what} {many}" for what, many in sorted(counted.items())))
