"""The events of an account and their targets: what the platform's own webhook API has, and the targets' settings."""

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
from backup_webhooks.api.target_edits import check_new_hosts, edited, known_target, with_settings
from backup_webhooks.api.webhook_models import (
    ConfigurationIn,
    ConfigurationOut,
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

# The FAQ's words, but for the last.
_LABELS = {
    EventType.FAILURE: ("Backup Failure", "A backup has completed with a status of Failure."),
    EventType.PARTIAL_SUCCESS: (
        "Backup Partial Success",
        "A backup has completed with a status of Partial Success.",
    ),
    EventType.MISSING: (
        "Missing Backups",
        "A server has not initiated a backup within 1 hour of the scheduled start time on the backup policy.",
    ),
    EventType.SUCCESS: ("Backup Success", "A backup has completed with a status of Success."),
    EventType.RECOVERED: (
        "Backup Recovered",
        "A backup has completed with a status of Success, and those before it had failed or were missed.",
    ),
}


@router.get("/v2/webhooks/<account>", summary="All webhooks of an account", responses=READS, compress=True)
def webhooks(account: Account) -> WebhooksOut:
    """The events with their targets."""
    configurations = services().configurations.of_account(account)
    return WebhooksOut(
        items=[_webhook(configuration) for configuration in configurations.values()],
        formats=list(FORMATS),
        most_targets=MOST_TARGETS,
        links=[_link("self", account), *(_link(one, account, one) for one in ("deliveries", "serverPolicies"))],
    )


@router.get("/v2/webhooks/<account>/<event>", summary="One event", responses=READS)
def webhook(account: Account, event: EventType) -> Response[WebhookOut]:
    """The event with its targets."""
    return _answer(services().configurations.load(account, event))


@router.get("/v2/webhooks/<account>/<event>/configuration", summary="An event's targets", responses=READS)
def configuration(account: Account, event: EventType) -> Response[ConfigurationOut]:
    """The targets."""
    stored = services().configurations.load(account, event)
    return _json(_webhook(stored).configuration, stored)


@router.put("/v2/webhooks/<account>/<event>/configuration", summary="Set an event's targets", responses=WRITES)
def put_configuration(
    account: Account, event: EventType, wanted: ConfigurationIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Put these targets in the place of all that are there. Settings that are left out stay as they are."""

    fields = {f"targetUris[{position}].": one for position, one in enumerate(wanted.target_uris)}
    check_new_hosts(services().configurations.load(account, event), fields)
    return _change(
        account, event, lambda seen: [edited(seen, one, field) for field, one in fields.items()], if_match, prefer
    )


@router.delete("/v2/webhooks/<account>/<event>/configuration", summary="Remove an event's targets", responses=WRITES)
def delete_configuration(account: Account, event: EventType, if_match: IfMatch = None) -> Response[WebhookOut | None]:
    """Nobody is told of the event any more."""
    return _change(account, event, lambda _: [], if_match)


@router.post("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Add a target", responses=WRITES)
def add_target(
    account: Account, event: EventType, wanted: TargetIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[WebhookOut | None]:
    """Add it to those that are there, or change the settings of the one with that URL."""
    check_new_hosts(services().configurations.load(account, event), {"": wanted})
    return _change(account, event, lambda seen: seen.having(edited(seen, wanted)), if_match, prefer)


@router.delete("/v2/webhooks/<account>/<event>/configuration/targetUris", summary="Remove a target", responses=WRITES)
def delete_target(
    account: Account,
    event: EventType,
    target_uri: Annotated[str, Query(alias="targetUri")],
    if_match: IfMatch = None,
) -> Response[WebhookOut | None]:
    """The one with that URL."""
    target_id = Target(account, event, target_uri).target_id

    def edit(seen: EventTargets) -> Sequence[Target]:
        known_target(seen, target_id)
        return seen.without(target_id)

    return _change(account, event, edit, if_match)


@router.patch(
    "/v2/webhooks/<account>/<event>/configuration/targetUris/<target_id>", summary="Set up a target", responses=WRITES
)
def patch_target(  # noqa: PLR0913, PLR0917 - what a request has
    account: Account,
    event: EventType,
    target_id: str,
    settings: TargetSettings,
    if_match: IfMatch = None,
    prefer: Prefer = None,
) -> Response[WebhookOut | None]:
    """Change the settings that are given, and no others."""
    return _change(
        account,
        event,
        lambda seen: seen.having(with_settings(known_target(seen, target_id), settings)),
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

    def edit_what_is_seen(seen: EventTargets) -> Sequence[Target]:
        before.append(seen)
        return edit(seen)

    stored = services().configurations.change(account, event, edit_what_is_seen, expected_version(if_match))
    if asks_for_representation(prefer):
        return _answer(stored, before[-1])
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": _etag(stored)})


def _answer(configuration: EventTargets, before: EventTargets | None = None) -> Response[Any]:
    return _json(_webhook(configuration, before), configuration)


def _json(body: Any, configuration: EventTargets) -> Response[Any]:
    headers = {"etag": _etag(configuration)}
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, headers)


def _etag(configuration: EventTargets) -> str:
    return f'"{configuration.version}"'


def _webhook(configuration: EventTargets, before: EventTargets | None = None) -> WebhookOut:
    """The event; where it is told what was there before, with the secrets of the targets that are new."""
    label, description = _LABELS[configuration.event_type]
    now = utc_now()
    return WebhookOut(
        name=configuration.event_type,
        label=label,
        description=description,
        etag=_etag(configuration),
        configuration=ConfigurationOut(
            target_uris=[
                TargetOut.of(
                    target,
                    now,
                    target.secrets[0].value if before and not before.find(target.target_id) else None,
                )
                for target in configuration.targets
            ]
        ),
        links=[
            _link("self", configuration.account, configuration.event_type),
            _link("configuration", configuration.account, configuration.event_type, "configuration"),
        ],
    )


def _link(rel: str, *steps: str) -> Link:
    return Link(rel=rel, href="/v2/webhooks/" + "/".join(quote(step, safe="") for step in steps))
