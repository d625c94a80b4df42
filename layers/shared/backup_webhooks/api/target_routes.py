"""Routes of an account's targets: list, add, read, change and remove them, test them, and rotate their secrets.

Tests and new secrets also have the addresses of the platform's API, below an event type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import ACTS, READS, WRITES
from backup_webhooks.api.models import IfMatch, Prefer, asks_for_representation
from backup_webhooks.api.services import services
from backup_webhooks.api.target_edits import (
    changed,
    check_new_hosts,
    check_unchanged,
    etag_of,
    known_target,
    with_settings,
)
from backup_webhooks.api.webhook_models import (
    NewSecret,
    NewTarget,
    Overlap,
    Secret,
    TargetChanges,
    TargetOut,
    TargetsOut,
    TestResult,
)
from backup_webhooks.deliveries.attempt import post
from backup_webhooks.deliveries.deliveries_store import KEPT_RESPONSE_BYTES
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.payloads import FORMATS
from backup_webhooks.targets.signing import current
from backup_webhooks.targets.store import AccountTargets
from backup_webhooks.targets.target import MOST_TARGETS, Target

router = Router()

_TARGETS = "/v2/webhooks/<account>/targets"
_TARGET = f"{_TARGETS}/<target_id>"
_OF_EVENT = "/v2/webhooks/<account>/<event>/configuration/targetUris/<target_id>"


@router.get(_TARGETS, summary="All targets of an account", responses=READS, compress=True)
def targets(account: Account) -> TargetsOut:
    """Return the account's targets."""
    now = utc_now()
    stored = services().targets.load(account)
    return TargetsOut(
        items=[TargetOut.of(target, now) for target in stored.targets], formats=list(FORMATS), most_targets=MOST_TARGETS
    )


@router.post(
    _TARGETS,
    summary="Add a target with its event types",
    responses=ACTS | {201: {"description": "The target, with its signing secret"}},
)
def add_target(account: Account, wanted: NewTarget) -> Response[TargetOut]:
    """Add a target. Only this answer holds the value of its signing secret."""
    check_new_hosts(services().targets.load(account), {"": wanted.target_uri})
    target = with_settings(Target(account, wanted.events, wanted.target_uri), wanted)
    stored = services().targets.change(account, lambda stored: stored.having(target))
    target = known_target(stored, target.target_id)
    path = f"/v2/webhooks/{quote(account, safe='')}/targets/{target.target_id}"
    return _answer(target, HTTPStatus.CREATED, secret=target.secrets[0].value, location=path)


@router.get(_TARGET, summary="One target", responses=READS)
def target(account: Account, target_id: str) -> Response[TargetOut]:
    """Return the target."""
    return _answer(known_target(services().targets.load(account), target_id))


@router.patch(_TARGET, summary="Change a target", responses=WRITES)
def patch_target(
    account: Account, target_id: str, changes: TargetChanges, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[TargetOut | None]:
    """Change only what is given of the target."""
    if changes.target_uri is not None:
        check_new_hosts(services().targets.load(account), {"": changes.target_uri})
    stored = _change(account, target_id, if_match, lambda stored, target: stored.having(changed(target, changes)))
    target = known_target(stored, target_id)
    if asks_for_representation(prefer):
        return _answer(target)
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": etag_of([target])})


@router.delete(_TARGET, summary="Remove a target and its event types", responses=WRITES)
def delete_target(account: Account, target_id: str, if_match: IfMatch = None) -> Response[TargetOut | None]:
    """Remove the target with its secrets and health."""
    _change(account, target_id, if_match, lambda stored, _: stored.without(target_id))
    return Response(HTTPStatus.NO_CONTENT)


@router.post(f"{_TARGET}/test", summary="Send a target a test message", responses=ACTS)
def send_test(account: Account, target_id: str, event: Annotated[EventType | None, Query()] = None) -> TestResult:
    """Post a test event of that type, or of the target's first one; otherwise as under an event type."""
    target = known_target(services().targets.load(account), target_id)
    return _test(target, event or target.event_types[0])


@router.post(f"{_OF_EVENT}/test", summary="Send a test message", responses=ACTS)
def send_test_of_event(account: Account, event: EventType, target_id: str) -> TestResult:
    """Post a test event, signed and in the target's format, and return the attempt's result.

    This takes up to 10 s. A test event is neither logged nor repeated, and does not change the target's health. A
    target that is switched off gets it too.
    """
    return _test(known_target(services().targets.load(account), target_id, event), event)


@router.post(f"{_TARGET}/secret", summary="Rotate a target's signing secret", responses=ACTS)
def rotate_secret(account: Account, target_id: str, overlap: Overlap) -> NewSecret:
    """Give the target a new secret, which only this answer holds. The old ones sign too during the overlap."""
    return _rotate(known_target(services().targets.load(account), target_id), overlap)


@router.post(f"{_OF_EVENT}/secret", summary="Rotate the signing secret", responses=ACTS)
def rotate_secret_of_event(account: Account, event: EventType, target_id: str, overlap: Overlap) -> NewSecret:
    """Give the target a new secret, for all of its event types; otherwise as without an event type."""
    return _rotate(known_target(services().targets.load(account), target_id, event), overlap)


def _change(
    account: str, target_id: str, if_match: str | None, edit: Callable[[AccountTargets, Target], Sequence[Target]]
) -> AccountTargets:
    def edit_unchanged(stored: AccountTargets) -> Sequence[Target]:
        target = known_target(stored, target_id)
        check_unchanged([target], if_match)
        return edit(stored, target)

    return services().targets.change(account, edit_unchanged)


def _answer(
    target: Target, status: HTTPStatus = HTTPStatus.OK, secret: str | None = None, **headers: str
) -> Response[Any]:
    body = TargetOut.of(target, utc_now(), secret)
    return Response(status, content_types.APPLICATION_JSON, body, headers | {"etag": etag_of([target])})


def _test(target: Target, event: EventType) -> TestResult:
    now = utc_now()
    delivery = Delivery.of(example_event(target.account, event, now), target)
    attempt = post(services().sender, delivery, target, now)
    return TestResult(
        delivered=attempt.delivered,
        status=attempt.status,
        milliseconds=attempt.milliseconds,
        reason=attempt.reason,
        response=attempt.response[:KEPT_RESPONSE_BYTES].decode(errors="replace"),
        body=delivery.body,
    )


def _rotate(target: Target, overlap: Overlap) -> NewSecret:
    now = utc_now()
    new = services().targets.rotate_secret(target, now, timedelta(hours=overlap.overlap_hours))
    stored = known_target(services().targets.load(target.account), target.target_id)
    return NewSecret(secret=new.value, secrets=[Secret.of(secret) for secret in current(stored.secrets, now)])
