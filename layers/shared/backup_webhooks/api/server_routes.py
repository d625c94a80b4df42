"""The servers of an account: how each stands, what became of the last days, and who is told of it daily."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS, WRITES
from backup_webhooks.api.models import IfMatch, expected_version
from backup_webhooks.api.server_models import DayOut, DaysOut, Recipients, ServerPoliciesOut, ServerPolicyOut
from backup_webhooks.api.services import services
from backup_webhooks.days import Days, last_days, summed
from backup_webhooks.moments import utc_now
from backup_webhooks.server_states import server_state
from backup_webhooks.stores.report_recipients import ReportRecipients

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


@router.get("/v2/webhooks/<account>/reportRecipients", summary="Who gets the daily report", responses=READS)
def report_recipients(account: Account) -> Response[Recipients]:
    """The e-mail addresses."""
    return _answer(services().report_recipients.load(account))


@router.put("/v2/webhooks/<account>/reportRecipients", summary="Set who gets the daily report", responses=WRITES)
def put_report_recipients(account: Account, wanted: Recipients, if_match: IfMatch = None) -> Response[Any]:
    """Put these addresses in the place of all that are there."""
    expected = expected_version(if_match)
    addresses = list(dict.fromkeys(wanted.recipients))
    saved = services().report_recipients.save(account, addresses, expected)
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": f'"{saved.revision}"'})


def _answer(stored: ReportRecipients) -> Response[Recipients]:
    body = Recipients(recipients=list(stored.addresses))
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, {"etag": f'"{stored.revision}"'})


def _last_days(days: Days) -> list[DayOut]:
    return [DayOut.of(day, results) for day, results in last_days(days, utc_now())]
