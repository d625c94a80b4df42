"""Routes of the e-mail recipients of an account."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import READS, WRITES
from backup_webhooks.api.models import IfMatch, Prefer, asks_for_representation, expected_version
from backup_webhooks.api.report_models import RecipientsIn, RecipientsOut, etag
from backup_webhooks.api.services import services
from backup_webhooks.events.timestamps import utc_now

router = Router()


@router.get("/v2/webhooks/<account>/reportRecipients", summary="Who gets e-mail", responses=READS)
def report_recipients(account: Account) -> Response[RecipientsOut]:
    """Return the addresses, the e-mail that each gets, and the time of the reports."""
    return _answer(account)


@router.put("/v2/webhooks/<account>/reportRecipients", summary="Set who gets e-mail", responses=WRITES)
def put_report_recipients(
    account: Account, wanted: RecipientsIn, if_match: IfMatch = None, prefer: Prefer = None
) -> Response[RecipientsOut | None]:
    """Replace all recipients by these. Settings that are left out stay as they are."""
    wanted.check()
    saved = services().report_settings.change(account, wanted.applied_to, expected_version(if_match))
    if asks_for_representation(prefer):
        return _answer(account)
    return Response(HTTPStatus.NO_CONTENT, headers={"etag": etag(saved)})


def _answer(account: str) -> Response[Any]:
    settings, progress = services().report_schedule.load(account)
    body = RecipientsOut.of(settings, progress.due_at, utc_now(), sends_email=services().sends_email)
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, {"etag": body.etag})
