"""Ping keys: by which scripts tell of their backups; and what these have said of themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import ACTS, READS, WRITES
from backup_webhooks.api.ping_key_models import (
    NewPingKey,
    OutputOut,
    OutputsOut,
    PingKeyIn,
    PingKeyOut,
    PingKeysOut,
    PlanIn,
)
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now

router = Router()

_KEYS = "/v2/webhooks/<account>/pingKeys"


@router.get(_KEYS, summary="The ping keys", responses=READS, compress=True)
def ping_keys(account: Account) -> PingKeysOut:
    """All of them, without the keys themselves."""
    return PingKeysOut(items=[PingKeyOut.of(key) for key in services().ping_keys.of_account(account)])


@router.post(
    _KEYS,
    summary="Make a ping key",
    responses={status: answer for status, answer in ACTS.items() if status != HTTPStatus.OK}
    | {201: {"description": "The key, and the URL that is told this once"}},
)
def make_ping_key(account: Account, wanted: PingKeyIn) -> Response[NewPingKey]:
    """A key for a server policy of its own, whose backups are expected from now on. 409 where there are 100 already."""
    key, secret = services().ping_keys.make(
        account, wanted.server_id, wanted.account_policy_name, wanted.storage_region, wanted.onto(None), utc_now()
    )
    body = NewPingKey.of(key, url=f"{_origin()}/p/{secret}")
    return Response(HTTPStatus.CREATED, content_types.APPLICATION_JSON, body)


@router.patch(f"{_KEYS}/<ping_key_id>", summary="Change a ping key's schedule", responses=ACTS)
def change_ping_key(account: Account, ping_key_id: str, wanted: PlanIn) -> PingKeyOut:
    """Expect its backups so from now on; the URL stays."""
    return PingKeyOut.of(services().ping_keys.change(account, ping_key_id, wanted.onto, utc_now()))


@router.delete(f"{_KEYS}/<ping_key_id>", summary="Revoke a ping key", responses=WRITES)
def revoke_ping_key(account: Account, ping_key_id: str) -> Response[Any]:
    """Its URL is none any more, and no backup is expected of its server policy, which stays in sight as inactive."""
    services().ping_keys.revoke(account, ping_key_id, utc_now())
    return Response(HTTPStatus.NO_CONTENT)


@router.get(
    "/v2/webhooks/<account>/serverPolicies/<server_policy_id>/logs",
    summary="The logs of a server policy's backups",
    responses=READS,
    compress=True,
)
def logs(account: Account, server_policy_id: str, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> OutputsOut:
    """The latest of the last 30 days, of those backups that sent one. None of a server policy that is not known."""
    return OutputsOut(
        items=[OutputOut.of(one) for one in services().backup_output.latest(account, server_policy_id, limit)]
    )


def _origin() -> str:
    """Where the caller has found us, which is where his script will."""
    event = router.current_event
    # The gateway's own header, whatever the caller sent.
    scheme = event.headers.get("x-forwarded-proto", "https")
    return f"{scheme}://{event.raw_event['requestContext']['domainName']}"
