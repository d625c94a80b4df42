"""Invariants of every world once it is settled, whatever faults it had. Each raises `AssertionError`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.messages import (
    TROUBLE,
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStarted,
    Event,
    EventType,
    Heartbeat,
    ServerPolicyChanged,
    parse_message,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.target import Target

from tests.faults.customers import Server
from tests.world.history import Claimed, Posted, Recorded
from tests.world.world import EVENTS, EXHAUSTED, RETRIES, World

_OK = 200


def assert_all(world: World, servers: Sequence[Server]) -> None:
    """Check all invariants."""
    no_message_is_lost(world)
    every_event_is_settled_at_each_of_its_targets(world)
    every_state_has_ended(world)
    no_environment_made_an_attempt_twice(world)
    no_claim_was_posted_twice(world)
    nothing_that_was_recorded_was_posted_again(world)
    the_log_agrees_with_what_was_received(world)
    no_miss_is_false(world, servers)
    no_miss_is_lost(world, servers)


def no_message_is_lost(world: World) -> None:
    """Each message was handled. None is on a queue, or in a dead-letter queue, as these were redriven."""
    for name in (EVENTS, RETRIES, EXHAUSTED):
        queue = world.queues[name]
        assert queue.bodies == [], f"{name} is not empty"
        assert queue.dead_letters == [], f"dead letters of {name}"


def every_event_is_settled_at_each_of_its_targets(world: World) -> None:
    """Each event is, for each target, delivered, failed with its reason, suppressed, or grouped into such a delivery.

    It is suppressed only by what was sent, or by what has happened since. Only a target that was off, or not there, may
    not have been asked.
    """
    log = {entry["webhookId"]: entry for entry in world.log()}
    posted = {claim.webhook_id for claim in world.history.posted}
    for event, target in _deliveries(world):
        webhook_id = Delivery.of(event, target).webhook_id
        entry = log.get(webhook_id)
        if entry is None:
            assert target.target_id in world.changed, f"{event} was never judged for {target.url}"
            continue
        if entry["state"] == "grouped":
            assert target.preferences.group
            (entry,) = (one for one in log.values() if one["delivery"] == entry["groupedIn"])
            if entry["state"] == "delivered":
                assert _is_in_a_grouped_post(world, event, target), f"{event} was grouped and never posted"
        match entry["state"]:
            case "suppressed":
                assert _is_rightly_suppressed(world, event, target, entry), f"suppressed: {entry}"
            case "failed" if entry["error"].startswith("not attempted"):
                assert target.target_id in world.changed
            case state:
                assert state in ("delivered", "failed")
                assert entry["webhookId"] in posted, f"{event} was never posted to {target.url}"
                assert state == "delivered" or entry["error"]


def _is_rightly_suppressed(world: World, event: Event, target: Target, entry: dict[str, Any]) -> bool:
    kind, _, time = entry["error"].rpartition(" ")
    if kind in ("over since the success of", "trouble again since"):
        since = Timestamp.parse(time)
        goods = (EventType.SUCCESS,) if kind.startswith("over") else TROUBLE
        return since > event.as_of and any(
            other.as_of == since and other.event_type in goods and other.server_policy_id == event.server_policy_id
            for other in _events(world)
        )
    assert kind == "nothing new since"
    sent = [
        one
        for one in world.log()
        if (one["targetId"], one["event"]) == (entry["targetId"], entry["event"]) and one["delivery"].startswith(time)
    ]
    # What had failed for good by then made nothing a repetition, so this one was still on its way.
    return target.preferences.changes_only and any(one["state"] != "suppressed" for one in sent)


def every_state_has_ended(world: World) -> None:
    """Nothing waits for what will not come, once the log is swept."""
    for entry in world.log():
        assert entry["state"] not in ("claimed", "retrying"), f"stands still: {entry}"
        assert entry["state"] != "grouped" or "groupedIn" in entry, f"never sent: {entry}"


def no_environment_made_an_attempt_twice(world: World) -> None:
    """Whatever fails after a POST: while its environment lives, it knows that it has posted."""
    made = Counter(
        (posted.claim.webhook_id, posted.claim.attempt, posted.environment)
        for posted in world.history.happenings
        if isinstance(posted, Posted)
    )
    assert [attempt for attempt, times in made.items() if times > 1] == []


def no_message_is_multiplied(world: World) -> None:
    """A kill, a fault of SQS or its repetition leaves one more message at most. Copies make no copies."""
    bodies = world.retries.bodies
    assert len(bodies) - len(set(bodies)) <= world.boundary.disturbed + world.repetitions


def no_claim_was_posted_twice(world: World) -> None:
    """A claim is used for at most one POST, even by a function that is killed during it."""
    twice = {claim: times for claim, times in Counter(world.history.posted).items() if times > 1}
    assert twice == {}


def nothing_that_was_recorded_was_posted_again(world: World) -> None:
    """An attempt whose result was recorded is not repeated.

    Only an attempt in flight, when its function was killed or could not write, may be repeated.
    """
    settled: set[tuple[str, int]] = set()
    attempts: dict[str, Claimed] = {}
    for happening in world.history.happenings:
        match happening:
            case Claimed():
                attempts[happening.token] = happening
            case Posted(claim):
                assert (claim.webhook_id, claim.attempt) not in settled, f"{claim} was made and recorded before"
            case Recorded(token):
                settled.add((attempts[token].webhook_id, attempts[token].attempt))


def the_log_agrees_with_what_was_received(world: World) -> None:
    """A delivery recorded as delivered was received, and a received one is not recorded as never attempted."""
    taken = {post.webhook_id for post in world.received if post.status == _OK}
    log = {entry["webhookId"]: entry for entry in world.log()}
    for entry in log.values():
        assert entry["state"] != "delivered" or entry["webhookId"] in taken, f"not delivered: {entry}"
        assert entry["state"] in ("delivered", "failed", "grouped", "suppressed"), f"not settled: {entry}"
    for post in world.received:
        entry = log[post.webhook_id]
        assert int(entry["attempts"]) > 0
        # A trigger or resolve that failed, and was overtaken before its retry, is suppressed.
        assert entry["state"] in ("delivered", "failed") or "since" in entry["error"], f"received, but: {entry}"
        assert post.status != _OK or "not attempted" not in (entry["error"] or ""), f"received, but: {entry}"


def no_miss_is_false(world: World, servers: Sequence[Server]) -> None:
    """A backup that started within an hour of its scheduled start, by its own clock, is never reported as missed."""
    missed = {(server.policy_id, server.expected_at) for server in servers if server.missed}
    reported = {(miss.server_policy_id, miss.expected_date) for miss in misses(world)}
    assert reported <= missed, f"false: {reported - missed}"


def no_miss_is_lost(world: World, servers: Sequence[Server]) -> None:
    """Every other backup is reported as missed, as one delivery."""
    reported = {(miss.server_policy_id, miss.expected_date) for miss in misses(world)}
    missed = {(server.policy_id, server.expected_at) for server in servers if server.missed}
    assert missed <= reported, f"lost: {missed - reported}"
    posts = Counter(
        (post.body["serverPolicyId"], post.body["expectedDate"])
        for post in {post.webhook_id: post for post in world.received if post.path == "/Backup.Missing/0"}.values()
    )
    assert set(posts.values()) <= {1}, f"more than one delivery: {posts}"
    assert len(posts) == len(missed)


def _events(world: World) -> Iterator[Event]:
    """Yield each event once."""
    for body in dict.fromkeys(world.sqs.accepted[EVENTS]):
        match parse_message(body):
            case BackupFinished() | BackupMissed() | BackupRecovered() as event:
                if event.event_type:
                    yield event
            case BackupStarted() | ServerPolicyChanged() | Heartbeat():
                pass


def misses(world: World) -> Iterator[BackupMissed]:
    """Yield each miss that was reported, once."""
    return (event for event in _events(world) if isinstance(event, BackupMissed))


def _deliveries(world: World) -> Iterator[tuple[Event, Target]]:
    for event in _events(world):
        yield from ((event, target) for target in world.targets if event.event_type in target.event_types)


def _is_in_a_grouped_post(world: World, event: Event, target: Target) -> bool:
    name, about = ("restorePointId", event.subject_id)
    if isinstance(event, BackupMissed):
        name, about = "serverPolicyId", event.server_policy_id
    return any(
        backup.get(name) == about
        for post in world.received
        if target.url.endswith(post.path.removesuffix("/moved"))
        for backup in post.body.get("backups", [post.body])
    )
