"""Routes of the ping keys by which scripts report their backups, and of backup outputs."""

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
    PingScheduleIn,
)
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now

router = Router()

_KEYS = "/v2/webhooks/<account>/pingKeys"


@router.get(_KEYS, summary="The ping keys", responses=READS, compress=True)
def ping_keys(account: Account) -> PingKeysOut:
    """Return all ping keys of the account, without their secrets."""
    return PingKeysOut(items=[PingKeyOut.of(key) for key in services().ping_keys.of_account(account)])


@router.post(
    _KEYS,
    summary="Make a ping key",
    responses={status: answer for status, answer in ACTS.items() if status != HTTPStatus.OK}
    | {201: {"description": "The key, and the URL that is told this once"}},
)
def make_ping_key(account: Account, wanted: PingKeyIn) -> Response[NewPingKey]:
    """Make a key for a new server policy, whose backups are expected from now on. Answer 409 if there are 100 keys."""
    schedule = wanted.applied_to(None)
    key, secret = services().ping_keys.make(
        account, wanted.server_id, wanted.account_policy_name, wanted.storage_region, schedule, utc_now()
    )
    body = NewPingKey.of(key, url=f"{_origin()}/p/{secret}")
    return Response(HTTPStatus.CREATED, content_types.APPLICATION_JSON, body)


@router.patch(f"{_KEYS}/<ping_key_id>", summary="Change a ping key's schedule", responses=ACTS)
def change_ping_key(account: Account, ping_key_id: str, wanted: PingScheduleIn) -> PingKeyOut:
    """Expect its backups by the new schedule from now on. The URL stays."""
    return PingKeyOut.of(services().ping_keys.change(account, ping_key_id, wanted.applied_to, utc_now()))


@router.delete(f"{_KEYS}/<ping_key_id>", summary="Revoke a ping key", responses=WRITES)
def revoke_ping_key(account: Account, ping_key_id: str) -> Response[Any]:
    """Refuse pings of its URL, and expect no more backups. Its server policy stays in the list as inactive."""
    services().ping_keys.revoke(account, ping_key_id, utc_now())
    return Response(HTTPStatus.NO_CONTENT)


@router.get(
    "/v2/webhooks/<account>/serverPolicies/<server_policy_id>/outputs",
    summary="The backup outputs of a server policy",
    responses=READS,
    compress=True,
)
def outputs(account: Account, server_policy_id: str, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> OutputsOut:
    """Return the latest backup outputs of the last 30 days; none for an unknown server policy."""
    backups = services().backup_output.latest(account, server_policy_id, limit)
    return OutputsOut(items=[OutputOut.of(backup) for backup in backups])


def _origin() -> str:
    """Return the origin that the caller used, which the script will use too."""
    event = router.current_event
    # The gateway replaces this header if the caller sends it.
    scheme = event.headers.get("x-forwarded-proto", "https")
    return f"{scheme}://{event.raw_event['requestContext']['domainName']}"
