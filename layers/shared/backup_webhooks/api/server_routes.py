"""Routes of an account's server policies and daily counts."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import ACTS, READS
from backup_webhooks.api.server_models import (
    DayOut,
    DaysOut,
    ServerPoliciesOut,
    ServerPolicyOut,
    TroubledServerPoliciesOut,
    WatchIn,
)
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.daily_counts import DailyCounts, last_30_days, sum_by_day
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import server_state

router = Router()


_POLICIES = "/v2/webhooks/<account>/serverPolicies"


@router.get(_POLICIES, summary="The server policies", responses=READS, compress=True)
def server_policies(
    account: Account,
    server: Annotated[str, Query(max_length=200, description="Part of the server's name, in any case")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> ServerPoliciesOut:
    """Return a page by server: each policy's state, its next expected start, and the counts of its last 30 days.

    An account with more than 5,000 server policies is searched by how the servers' names begin, in the case of `server`
    (`byBeginning`).
    """
    page = services().server_policies.page(account, server=server, cursor=cursor, limit=limit)
    return ServerPoliciesOut(
        items=[_answer(tracked) for tracked in page.items], next=page.cursor, by_beginning=page.by_beginning
    )


@router.get(
    "/v2/webhooks/<account>/troubledServerPolicies",
    summary="The server policies that need attention",
    responses=READS,
    compress=True,
)
def troubled_server_policies(
    account: Account,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> TroubledServerPoliciesOut:
    """Return a page of the active policies whose backups went wrong with no success since, the longest first."""
    page = services().server_policies.troubled(account, cursor=cursor, limit=limit)
    return TroubledServerPoliciesOut(items=[_answer(tracked) for tracked in page.items], next=page.cursor)


@router.patch(
    f"{_POLICIES}/<server_policy_id>", summary="Stop watching a server policy, or watch it again", responses=ACTS
)
def watch(account: Account, server_policy_id: str, wanted: WatchIn) -> ServerPolicyOut:
    """Expect no more backups of the server policy, or expect them by its schedule from now on.

    Results are recorded and sent all the same.
    """
    now = utc_now()

    def change(known: TrackedPolicy) -> TrackedPolicy:
        if known.identity is None:
            raise NotFoundError("There is no such server policy.")
        return known.watching(wanted.watched, now)

    return _answer(services().server_policies.change(account, server_policy_id, change))


@router.get("/v2/webhooks/<account>/dailyResults", summary="The results of each day", responses=READS, compress=True)
def daily_results(account: Account) -> DaysOut:
    """Return the counts of the last 30 days, all servers together. It reads each server policy of the account."""
    return DaysOut(items=_last_30_days(sum_by_day(services().server_policies.daily_counts_of_account(account))))


def _answer(tracked: TrackedPolicy) -> ServerPolicyOut:
    return ServerPolicyOut.of(tracked, server_state(tracked, utc_now()), _last_30_days(tracked.daily_counts))


def _last_30_days(days: DailyCounts) -> list[DayOut]:
    return [DayOut.of(day, counts) for day, counts in last_30_days(days, utc_now())]
