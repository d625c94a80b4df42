"""A night of servers of each kind from each source: their events through all functions to the customer's endpoint.

NIGHT_SERVERS=500 makes it a night of that many. REAL_BACKUPS=1 makes such a night in which restic and Borg make some of
the backups; otherwise their scripts only ping. NIGHT_SEED=… repeats an earlier night.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.sources.pings.keys import PingSchedule
from backup_webhooks.targets.preferences import Preferences

from local.aws_backup import AwsBackup
from local.aws_events import map_account
from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account
from tests.integration.sources.test_scripts import needs
from tests.support.aws_backup import PLAN
from tests.support.night import (
    DAY,
    KINDS,
    KINDS_OF,
    NEWCOMERS,
    NIGHT_LASTS,
    STEP,
    ReadPost,
    Server,
    Source,
    expected,
    expected_before,
    planned_at,
    servers,
    suppressed,
)
from tests.support.night_sources import plan, quartz
from tests.support.night_world import Night, gateway
from tests.support.policies import no_policies
from tests.world.aws import Aws
from tests.world.world import World

REAL = "REAL_BACKUPS" in os.environ
NUMBER = int(os.environ.get("NIGHT_SERVERS") or (500 if REAL else 0))
_OTHERS = {
    Source.PINGS: max(NUMBER * 34 // 500, len(NEWCOMERS)),
    Source.AWS_BACKUP: max(NUMBER * 40 // 500, len(KINDS_OF[Source.AWS_BACKUP])),
    Source.RESTIC: 3,
    Source.BORG: 3,
}
NUMBER_OF = {Source.MESSAGES: max(NUMBER - sum(_OTHERS.values()), len(KINDS))} | _OTHERS
PINGING = (Source.PINGS, Source.RESTIC, Source.BORG)
HOUR = timedelta(hours=1)

_TEXTS = [
    re.compile(r"^Status: (?P<says>\w+)  -  Account: (?P<account>\w+)  -  Server: (?P<server>\S+)  -  "),
    re.compile(r"^(?P<server>\S+) missed a backup expected at (?P<says>\S+) for policy "),
    re.compile(r"^(?P<server>\S+) recovered with restore point .*, after (?P<says>\d+ \w+) backup since "),
]


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("NIGHT_SEED") or random.randrange(2**32))
    print(f"NIGHT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def night(world_aws: Aws, stack: Stack, backup: AwsBackup, account: Account, chance: random.Random) -> Iterator[Night]:
    if REAL:
        needs("restic")
        needs("borg")
    no_policies(stack)
    world = World(world_aws, chance=chance)
    with gateway(world) as api:
        yield Night(world, account.alias, api, chance)
    no_policies(stack)


def ping_url(night: Night, server: Server) -> str:
    """Make a key for the server, and return its URL."""
    keys, schedule = night.world.functions.api.ping_keys, PingSchedule(quartz(server.tonight.scheduled_at), None, "UTC")
    _, secret = keys.make(night.account, server.server_id, "Nightly", "scripts", schedule, night.world.now)
    return f"{night.gateway.url}/p/{secret}"


def read(path: str, body: str | bytes, account: Account) -> ReadPost:
    """Return a post's content as a person reads it."""
    _, target, event = path.split("/")
    text = json.loads(body)["text"]
    (found,) = filter(None, (pattern.match(text) for pattern in _TEXTS))
    assert found.groupdict().get("account", account.alias) == account.alias
    return ReadPost(target, event, found["server"], found["says"])


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


def test_each_target_gets_the_posts_that_a_person_would_expect(
    night: Night, account: Account, stack: Stack, receiver: Receiver
) -> None:
    """Messages come shuffled, repeated, up to an hour late. No event is lost, sent twice, or sent of an open run."""
    targets = {
        account.set_target(event, f"{receiver.url}/{target}/{event}", preferences=preferences).target_id: target
        for target, preferences in (("all", Preferences()), ("changes", Preferences(changes_only=True)))
        for event in EventType
    }
    # Ping keys and plans count from now on, so the night must begin later.
    world, dusk = night.world, night.world.now + timedelta(hours=2)
    backup = world.aws.backup_service
    everybody = servers(NUMBER_OF, dusk, night.chance)
    backup.plans[PLAN] = plan(planned_at(dusk))
    listed = [server.server_id for server in everybody if server.source is Source.AWS_BACKUP]
    backup.selections[PLAN] = [{"SelectionName": "servers", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": listed}]
    map_account(stack, account.alias)

    assert world.functions.aws_plans.publish_all(world.now + HOUR) == len(listed)
    world.settle(within=STEP)
    for server in everybody:
        if server.before:
            night.plan(server, server.before, policy_since=dusk - DAY - HOUR)
    # The policies are known before that night, and the rest of it is sent at its end.
    for until in (dusk - DAY - HOUR, *(dusk - DAY + NIGHT_LASTS + place * STEP for place in range(3))):
        night.go_on(until)
    before = len(receiver.posts)
    assert_equal(Counter(read(post.path, post.body, account) for post in receiver.posts), expected_before(everybody))

    scripted = []
    world.now = dusk - 2 * HOUR
    for server in everybody:
        url = ping_url(night, server) if server.source in PINGING else ""
        if REAL and server.source in (Source.RESTIC, Source.BORG):
            scripted.append((server, url))
        else:
            night.plan(server, server.tonight, policy_since=None if server.before else dusk - HOUR, url=url)
    night.go_on(dusk - HOUR)
    for place in range(NIGHT_LASTS // STEP + 1):
        night.go_on(dusk + place * STEP, scripted)
    assert (night.to_say, night.to_ping) == ([], []), "all of the night is over"

    posts = Counter(read(post.path, post.body, account) for post in receiver.posts[before:])
    print_counts(everybody, posts)
    assert_equal(posts, expected(everybody))
    log = log_of(stack, account, dusk)
    ids = {
        state: sorted(one["webhookId"] for one in log if one["state"] == state) for state in ("delivered", "suppressed")
    }
    assert len(log) == sum(map(len, ids.values()))
    assert ids["delivered"] == sorted(post.headers["webhook-id"] for post in receiver.posts)
    assert {targets[one["targetId"]] for one in log if one["state"] == "suppressed"} == {"changes"}
    not_posted = (read(urlsplit(one["url"]).path, one["body"], account) for one in log if one["state"] == "suppressed")
    assert_equal(Counter((one.event, one.server_id) for one in not_posted), suppressed(everybody))


def assert_equal[Key](found: Counter[Key], expected: Counter[Key]) -> None:
    """Compare the counts, and show only what is lost and what is too much."""
    assert (sorted((expected - found).elements()), sorted((found - expected).elements())) == ([], [])


def print_counts(everybody: Sequence[Server], posts: Counter[ReadPost]) -> None:
    """Print the night in figures."""
    for name, counted in (
        ("servers by source", Counter(server.source for server in everybody)),
        ("servers by kind", Counter(server.kind.name for server in everybody)),
        ("posts", Counter(f"{one.target}/{one.event}" for one in posts.elements())),
    ):
        print(f"{name}: {counted.total()}: " + ", ".join(f"{what} {many}" for what, many in sorted(counted.items())))
