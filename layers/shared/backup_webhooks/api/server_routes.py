"""Routes of an account's server policies and daily counts."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS
from backup_webhooks.api.server_models import DayOut, DaysOut, ServerPoliciesOut, ServerPolicyOut
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.daily_counts import DailyCounts, last_30_days, sum_by_day
from backup_webhooks.monitoring.state import server_state

router = Router()


@router.get("/v2/webhooks/<account>/serverPolicies", summary="The server policies", responses=READS, compress=True)
def server_policies(
    account: Account,
    server_id: Annotated[str, Query(alias="serverId", max_length=200, description="How the server's name begins")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> ServerPoliciesOut:
    """Return a page by server: each policy's state, its next expected start, and the counts of its last 30 days."""
    now = utc_now()
    page = services().server_policies.page(account, server_prefix=server_id, cursor=cursor, limit=limit)
    items = [
        ServerPolicyOut.of(tracked, server_state(tracked, now), _last_30_days(tracked.daily_counts))
        for tracked in page.items
    ]
    return ServerPoliciesOut(items=items, next=page.cursor)


@router.get("/v2/webhooks/<account>/dailyResults", summary="The results of each day", responses=READS, compress=True)
def daily_results(account: Account) -> DaysOut:
    """Return the counts of the last 30 days, all servers together. It reads each server policy of the account."""
    return DaysOut(items=_last_30_days(sum_by_day(services().server_policies.daily_counts_of_account(account))))


def _last_30_days(days: DailyCounts) -> list[DayOut]:
    return [DayOut.of(day, counts) for day, counts in last_30_days(days, utc_now())]
