"""Items of ServerPoliciesTable: what is stored is read again, and an ordinary policy costs one write unit."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.items import policy_item, tracked_policy
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from msgspec.structs import replace

from tests.support.item_size import item_size
from tests.support.policies import LONG_AGO, at, changed, every, finished, started, tracked

WRITE_UNIT = 1024


def stored(policy: TrackedPolicy) -> TrackedPolicy:
    return tracked_policy(from_item(to_item(policy_item(policy))))


def nights(count: int, status: str = "SUCCESS") -> TrackedPolicy:
    """Return a nightly policy after so many nights, whose start and end were reported."""
    policy = tracked(changed("11-01 09:00"))
    for night in range(count):
        began = at("11-01 17:00:06.476") + timedelta(days=night)
        texts = [f"{moment:%m-%d %H:%M:%S}.476" for moment in (began, began + timedelta(minutes=32, seconds=17))]
        for message in (started(texts[0]), finished(*texts, status)):
            policy = policy.after(message)
    return policy


@pytest.mark.parametrize("status", ["SUCCESS", "PARTIAL_SUCCESS", "FAILED"])
def test_a_nightly_policy_with_a_month_of_results_is_one_write_unit(status: str) -> None:
    policy = nights(40, status)
    assert len(policy.daily_counts) == 35

    assert item_size(policy_item(policy)) < WRITE_UNIT


@pytest.mark.parametrize(
    "policy",
    [
        TrackedPolicy("TEST", "id", revision=3),
        tracked(started("12-20 17:00")),
        nights(3, "FAILED"),
        nights(2).watching(False, at("11-09 00:00")),
        tracked(every(6, "12-19 09:00")).after_miss(LONG_AGO),
        tracked(changed("12-20 09:00"), finished("12-20 17:00", "12-20 18:00", "FAILED")).after(
            finished("12-21 17:00", "12-21 18:00")
        ),
    ],
)
def test_a_policy_is_read_as_it_was_written(policy: TrackedPolicy) -> None:
    assert stored(policy) == policy


@pytest.mark.parametrize("seed", range(50))
def test_days_are_read_as_they_were_written_whichever_have_counts(seed: int) -> None:
    rng = random.Random(seed)
    days = {
        date(2018, 12, 20) + timedelta(days=rng.choice([rng.randrange(40), rng.randrange(40_000)])): DayCounts(
            *rng.sample([0, 0, 1, 10, 250], 4)
        )
        for _ in range(rng.randrange(36))
    }
    policy = replace(nights(1), daily_counts=dict(sorted(days.items())))

    assert stored(policy) == policy, f"seed {seed}"
