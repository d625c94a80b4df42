"""The servers of an account: how each stands, and what became of the last days."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS
from backup_webhooks.api.server_models import DayOut, DaysOut, ServerPoliciesOut, ServerPolicyOut
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.daily_counts import DailyCounts, last_days, summed
from backup_webhooks.monitoring.state import server_state

router = Router()


@router.get("/v2/webhooks/<account>/serverPolicies", summary="The server policies", responses=READS, compress=True)
def server_policies(
    account: Account,
    server_id: Annotated[str, Query(alias="serverId", max_length=200, description="How the server's name begins")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> ServerPoliciesOut:
    """A page of them, by server: how each stands, when its next backup is expected, and its last 30 days."""
    now = utc_now()
    page = services().server_policies.page(account, server_prefix=server_id, cursor=cursor, limit=limit)
    items = [ServerPolicyOut.of(one, server_state(one, now), _last_days(one.days)) for one in page.items]
    return ServerPoliciesOut(items=items, next=page.cursor)


@router.get("/v2/webhooks/<account>/dailyResults", summary="The results of each day", responses=READS, compress=True)
def daily_results(account: Account) -> DaysOut:
    """Of the last 30 days, all servers together. Reads each server policy of the account."""
    return DaysOut(items=_last_days(summed(services().server_policies.days_of_account(account))))


def _last_days(days: DailyCounts) -> list[DayOut]:
    return [DayOut.of(day, results) for day, results in last_days(days, utc_now())]
