"""A target's filter: patterns for policy, server and region; `and` between fields, `or` within one."""

from __future__ import annotations

import random

import pytest
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import Event, EventType
from backup_webhooks.targets.event_filter import LONGEST_PATTERN, MOST_PATTERNS, EventFilter
from msgspec.structs import replace

from tests.support.policies import at


def event(event_type: EventType = EventType.FAILURE, **changes: str) -> Event:
    of_customer = {
        "server_id": "DB-01",
        "account_policy_name": "Nightly [prod]",
        "account_policy_id": "5b7f3f0e",
        "storage_region": "US WEST",
    }
    return replace(example_event("TEST", event_type, at("12-20 01:00")), **of_customer | changes)


@pytest.mark.parametrize("event_type", EventType)
def test_without_patterns_each_event_passes(event_type: EventType) -> None:
    assert EventFilter().passes(event(event_type))


@pytest.mark.parametrize("event_type", EventType)
@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (EventFilter(servers=["DB-01"]), True),
        (EventFilter(servers=["db-01"]), True),
        (EventFilter(servers=["DB-0"]), False),
        (EventFilter(servers=["B-01"]), False),
        (EventFilter(servers=["DB-*"]), True),
        (EventFilter(servers=["*1"]), True),
        (EventFilter(servers=["DB-0?"]), True),
        (EventFilter(servers=["DB-01?"]), False),
        (EventFilter(servers=["web-*", "db-*"]), True),
        (EventFilter(servers=["web-*"]), False),
        (EventFilter(servers=["DB-[0-9]1"]), False),
        (EventFilter(servers=["DB.01"]), False),
        (EventFilter(policies=["Nightly [prod]"]), True),
        (EventFilter(policies=["nightly*"]), True),
        (EventFilter(policies=["Nightly [p]*"]), False),
        (EventFilter(policies=["5b7f3f0e"]), True),
        (EventFilter(policies=["Weekly"]), False),
        (EventFilter(storage_regions=["us west"]), True),
        (EventFilter(storage_regions=["US EAST", "EU*"]), False),
        (EventFilter(["Nightly*"], ["db-*"], ["US*"]), True),
        (EventFilter(["Nightly*"], ["db-*"], ["EU*"]), False),
        (EventFilter(["Weekly"], ["db-*"], ["US*"]), False),
    ],
)
def test_one_pattern_of_each_field_must_match(event_type: EventType, wanted: EventFilter, passes: bool) -> None:
    assert wanted.passes(event(event_type)) is passes


def test_no_pattern_is_slow() -> None:
    """Where the expression went back at each star, this would take longer than the world has existed."""
    worst = "*a" * (LONGEST_PATTERN // 2)

    assert not EventFilter(servers=[worst] * MOST_PATTERNS).passes(event(server_id="a" * 199 + "b"))


def test_a_pattern_matches_as_one_that_tries_everything_does() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    def matches(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(matches(pattern[1:], name[start:]) for start in range(len(name) + 1))
        return bool(name) and pattern[0] in ("?", name[0]) and matches(pattern[1:], name[1:])

    for _ in range(2000):
        pattern = "".join(chance.choices("ab*?[].\\", k=chance.randint(1, 6)))
        name = "".join(chance.choices("ab[].\\", k=chance.randint(1, 6)))
        assert EventFilter(servers=[pattern]).passes(event(server_id=name)) is matches(pattern, name), (pattern, name)
