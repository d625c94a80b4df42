"""Routes of the event types and their targets, as the platform's own webhook API has them, and of targets' settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS, WRITES
from backup_webhooks.api.models import IfMatch, Link, Prefer, asks_for_representation, expected_version
from backup_webhooks.api.services import services
from backup_webhooks.api.target_edits import check_new_hosts, edited_target, known_target, with_settings
from backup_webhooks.api.webhook_models import (
    EventTargetsIn,
    EventTargetsOut,
    TargetIn,
    TargetOut,
    TargetSettings,
    WebhookOut,
    WebhooksOut,
)
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.payloads import FORMATS
from backup_webhooks.targets.store import EventTargets
from backup_webhooks.targets.target import MOST_TARGETS, Target

router = Router()

# In the FAQ's words, except for the last.
_DESCRIPTIONS = {
    EventType.FAILURE: "A backup has completed with a status of Failure.",
    EventType.PARTIAL_SUCCESS: "A backup has completed with a status of Partial Success.",
    EventType.MISSING: (
        "A server has not initiated a backup within 1 hour of the scheduled start time on the backup policy."
    ),
    EventType.SUCCESS: "A backup has completed with a status of Success.",
    EventType.RECOVERED: (
        "A backup has completed with a status of Success, and those before it had failed or were missed."
    ),
}


@router.get("/v2/webhooks/<account>", summary="All webhooks of an account", responses=READS, compress=True)
def webhooks(account: Account) -> WebhooksOut:
    """Return the event types with their targets."""
    by_event_type = services().targets.by_event_type(account)
    return WebhooksOut(
        items=[_webhook(event_targets) for event_targets in by_event_type.values()],
        formats=list(FORMATS),
        most_targets=MOST_TARGETS,
        links=[_link("self", account), *(_link(name, account, name) for name in ("deliveries", "serverPolicies"))],
    )


@router.get("/v2/webhooks/<account>/<event>", summary="One event", responses=READS)
def webhook(account: Account, event: EventType) -> Response[WebhookOut]:
    """Return the event type with its targets."""
    return _answer(services().targets.load(account, event))


@router.get("/v2/webhooks/<account>/<event>/configuration", summary="An event's targets", responses=READS)
def targets(account: Account, event: EventType) -> Response[EventTargetsOut]:
    """Return the event type's targets."""
    event_targets = services().targets.load(account, event)
    return _json(_webhook(event_targets).configuration, event_targets)


@router.put("/v2/webhooks/<account>/<event>/configuration", summary="Set an event's targets", responses=WRITES)
def put_targets(
    account: Account, event: EventType, wanted: EventTargetsIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Replace all targets of the event type by these. Settings that are left out stay as they are."""
    by_prefix = {f"targetUris[{position}].": target for position, target in enumerate(wanted.target_uris)}
    check_new_hosts(services().targets.load(account, event), by_prefix)

    def edit(stored: EventTargets) -> Sequence[Target]:
        return [edited_target(stored, target, prefix) for prefix, target in by_prefix.items()]

    return _change(account, event, edit, if_match, prefer)


@router.delete("/v2/webhooks/<account>/<event>/configuration", summary="Remove an event's targets", responses=WRITES)
def delete_targets(account: Account, event: EventType, if_match: IfMatch = None) -> Response[WebhookOut | None]:
    """Remove all targets of the event type."""
    return _change(account, event, lambda _: [], if_match)


@router.post("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Add a target", responses=WRITES)
def add_target(
    account: Account, event: EventType, wanted: TargetIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Add the target, or change the settings of the one with that URL."""
    check_new_hosts(services().targets.load(account, event), {"": wanted})
    return _change(account, event, lambda stored: stored.having(edited_target(stored, wanted)), if_match, prefer)


@router.delete("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Remove a target", responses=WRITES)
def delete_target(
    account: Account,
    event: EventType,
    target_uri: Annotated[str, Query(alias="targetUri")],
    if_match: IfMatch = None,
) -> Response[WebhookOut | None]:
    """Remove the target with that URL."""
    target_id = Target(account, event, target_uri).target_id

    def edit(stored: EventTargets) -> Sequence[Target]:
        known_target(stored, target_id)
        return stored.without(target_id)

    return _change(account, event, edit, if_match)


@router.patch(
    "/v2/webhooks/<account>/<event>/configuration/targetUris/<target_id>", summary="Set up a target", responses=WRITES
)
def patch_target(  # noqa: PLR0913, PLR0917 - the request's parameters
    account: Account,
    event: EventType,
    target_id: str,
    settings: TargetSettings,
    if_match: IfMatch = None,
    prefer: Prefer = None,
) -> Response[WebhookOut | None]:
    """Change only the given settings of the target."""
    return _change(
        account,
        event,
        lambda stored: stored.having(with_settings(known_target(stored, target_id), settings)),
        if_match,
        prefer,
    )


def _change(
    account: str,
    event: EventType,
    edit: Callable[[EventTargets], Sequence[Target]],
    if_match: str | None,
    prefer: str | None = None,
) -> Response[WebhookOut | None]:
    before: list[EventTargets] = []

    def edit_and_remember(stored: EventTargets) -> Sequence[Target]:
        before.append(stored)
        return edit(stored)

    saved = services().targets.change(account, event, edit_and_remember, expected_version(if_match))
    if asks_for_representation(prefer):
        return _answer(saved, before[-1])
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": _etag(saved)})


def _answer(event_targets: EventTargets, before: EventTargets | None = None) -> Response[Any]:
    return _json(_webhook(event_targets, before), event_targets)


def _json(body: Any, event_targets: EventTargets) -> Response[Any]:
    headers = {"etag": _etag(event_targets)}
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, headers)


def _etag(event_targets: EventTargets) -> str:
    return f'"{event_targets.version}"'


def _webhook(event_targets: EventTargets, before: EventTargets | None = None) -> WebhookOut:
    """Return the answer for an event type. `before`: its earlier targets; the secrets of newer ones are answered."""
    now = utc_now()
    return WebhookOut(
        name=event_targets.event_type,
        label=event_targets.event_type.label,
        description=_DESCRIPTIONS[event_targets.event_type],
        etag=_etag(event_targets),
        configuration=EventTargetsOut(
            target_uris=[
                TargetOut.of(
                    target,
                    now,
                    target.secrets[0].value if before and not before.find(target.target_id) else None,
                )
                for target in event_targets.targets
            ]
        ),
        links=[
            _link("self", event_targets.account, event_targets.event_type),
            _link("configuration", event_targets.account, event_targets.event_type, "configuration"),
        ],
    )


def _link(rel: str, *steps: str) -> Link:
    return Link(rel=rel, href="/v2/webhooks/" + "/".join(quote(step, safe="") for step in steps))
