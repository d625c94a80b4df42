"""Routes of the event types with the targets that name them, as the platform's own webhook API has them.

They are a view of the account's targets: a URL that is put there gets the event type, whatever other event types its
target names, and a URL that is removed there loses it.
"""

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
from backup_webhooks.api.models import IfMatch, Link, Prefer, asks_for_representation
from backup_webhooks.api.services import services
from backup_webhooks.api.target_edits import (
    check_new_hosts,
    check_unchanged,
    etag_of,
    known_target,
    put_into_event,
    with_settings,
    without_event,
)
from backup_webhooks.api.webhook_models import (
    MOST_OF_AN_EVENT,
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
from backup_webhooks.targets.store import AccountTargets, UnknownTarget
from backup_webhooks.targets.target import Target

router = Router()

# In the FAQ's words, except for the last three.
_DESCRIPTIONS = {
    EventType.FAILURE: "A backup has completed with a status of Failure.",
    EventType.PARTIAL_SUCCESS: "A backup has completed with a status of Partial Success.",
    EventType.MISSING: (
        "A server has not initiated a backup within 1 hour of the scheduled start time on the backup policy."
    ),
    EventType.SUCCESS: "A backup has completed with a status of Success.",
    EventType.RECOVERED: "A backup has completed with a status of Success, the first after trouble of any kind.",
    EventType.UNFINISHED: "A backup has started, and has not ended within its run limit.",
    EventType.STALE: "The last backup with a status of Success is older than its age limit.",
}


@router.get("/v2/webhooks/<account>", summary="All webhooks of an account", responses=READS, compress=True)
def webhooks(account: Account) -> WebhooksOut:
    """Return the event types with the targets that name them."""
    stored = services().targets.load(account)
    return WebhooksOut(
        items=[_webhook(stored, event) for event in EventType],
        formats=list(FORMATS),
        most_targets=MOST_OF_AN_EVENT,
        links=[
            _link("self", account),
            *(_link(name, account, name) for name in ("targets", "deliveries", "serverPolicies")),
        ],
    )


@router.get("/v2/webhooks/<account>/<event>", summary="One event", responses=READS)
def webhook(account: Account, event: EventType) -> Response[WebhookOut]:
    """Return the event type with the targets that name it."""
    return _answer(services().targets.load(account), event)


@router.get("/v2/webhooks/<account>/<event>/configuration", summary="An event's targets", responses=READS)
def targets(account: Account, event: EventType) -> Response[EventTargetsOut]:
    """Return the targets that name the event type."""
    stored = services().targets.load(account)
    return _json(_webhook(stored, event).configuration, stored, event)


@router.put("/v2/webhooks/<account>/<event>/configuration", summary="Set an event's targets", responses=WRITES)
def put_targets(
    account: Account, event: EventType, wanted: EventTargetsIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Let these targets alone name the event type. Settings that are left out stay as they are.

    Settings belong to the target, and so to all of its event types. A target that names no other is removed.
    """
    by_prefix = {
        f"targetUris[{position}].": target
        if target.recursive is not None
        else target.model_copy(update={"recursive": wanted.recursive})
        for position, target in enumerate(wanted.target_uris)
    }
    check_new_hosts(
        services().targets.load(account), {prefix: target.target_uri for prefix, target in by_prefix.items()}
    )

    def edit(stored: AccountTargets) -> Sequence[Target]:
        return put_into_event(stored, event, by_prefix, alone=True)

    return _change(account, event, edit, if_match, prefer)


@router.delete("/v2/webhooks/<account>/<event>/configuration", summary="Remove an event's targets", responses=WRITES)
def delete_targets(account: Account, event: EventType, if_match: IfMatch = None) -> Response[WebhookOut | None]:
    """Take the event type from all targets. Those that name no other are removed."""
    return _change(account, event, lambda stored: without_event(stored.targets, event), if_match)


@router.post("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Add a target", responses=WRITES)
def add_target(
    account: Account, event: EventType, wanted: TargetIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Add a target with that URL, or change the one that there is: it gets the event type and the settings."""
    check_new_hosts(services().targets.load(account), {"": wanted.target_uri})
    return _change(account, event, lambda stored: put_into_event(stored, event, {"": wanted}), if_match, prefer)


@router.delete("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Remove a target", responses=WRITES)
def delete_target(
    account: Account,
    event: EventType,
    target_uri: Annotated[str, Query(alias="targetUri")],
    if_match: IfMatch = None,
) -> Response[WebhookOut | None]:
    """Take the event type from the target with that URL. One that names no other is removed."""

    def edit(stored: AccountTargets) -> Sequence[Target]:
        target = stored.with_url(target_uri, [event])
        if target is None:
            raise UnknownTarget(target_uri)
        return [*stored.without(target.target_id), *without_event([target], event)]

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
    """Change only the given settings of the target, for all of its event types."""
    return _change(
        account,
        event,
        lambda stored: stored.having(with_settings(known_target(stored, target_id, event), settings)),
        if_match,
        prefer,
    )


def _change(
    account: str,
    event: EventType,
    edit: Callable[[AccountTargets], Sequence[Target]],
    if_match: str | None,
    prefer: str | None = None,
) -> Response[WebhookOut | None]:
    before: list[AccountTargets] = []

    def edit_unchanged(stored: AccountTargets) -> Sequence[Target]:
        check_unchanged(stored.of_event(event), if_match)
        before.append(stored)
        return edit(stored)

    saved = services().targets.change(account, edit_unchanged)
    if asks_for_representation(prefer):
        return _answer(saved, event, before[-1])
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": etag_of(saved.of_event(event))})


def _answer(stored: AccountTargets, event: EventType, before: AccountTargets | None = None) -> Response[Any]:
    return _json(_webhook(stored, event, before), stored, event)


def _json(body: Any, stored: AccountTargets, event: EventType) -> Response[Any]:
    headers = {"etag": etag_of(stored.of_event(event))}
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, headers)


def _webhook(stored: AccountTargets, event: EventType, before: AccountTargets | None = None) -> WebhookOut:
    """Return the answer for an event type. `before`: the earlier targets; the secrets of newer ones are answered."""
    now = utc_now()
    named = stored.of_event(event)
    return WebhookOut(
        name=event,
        label=event.label,
        description=_DESCRIPTIONS[event],
        etag=etag_of(named),
        configuration=EventTargetsOut(
            recursive=bool(named) and all(target.recursive for target in named),
            target_uris=[
                TargetOut.of(
                    target,
                    now,
                    target.secrets[0].value if before and not before.find(target.target_id) else None,
                )
                for target in named
            ],
        ),
        links=[_link("self", stored.account, event), _link("configuration", stored.account, event, "configuration")],
    )


def _link(rel: str, *steps: str) -> Link:
    return Link(rel=rel, href="/v2/webhooks/" + "/".join(quote(step, safe="") for step in steps))
