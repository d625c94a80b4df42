"""Routes of the unsubscribe links in e-mails: a link ends its recipient's e-mail, without a sign-in.

GET only asks, because mail scanners follow links. POST unsubscribes, with any body: the page's button sends one, and so
does the button of a mail program (RFC 8058). A link without a recipient is answered with 200 too, because a mail
program that tries again has not failed. Its answer does not say whether the account exists.
"""

from __future__ import annotations

import re
from html import escape
from http import HTTPStatus
from importlib.resources import files

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks.api.services import services
from backup_webhooks.aws.errors import Conflict

_LONGEST_ACCOUNT = 64
_TOKEN = re.compile("[A-Za-z0-9_-]{16,64}")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-robots-tag": "noindex",
}
_PAGE = files("backup_webhooks.api").joinpath("unsubscribe.html").read_text(encoding="utf-8")
# Without an action, the form goes to the page's own address, with its parameters.
_BUTTON = '<form method="post"><button class="primary">Unsubscribe</button></form>'

logger = Logger(child=True)
router = Router()


@router.get("/unsubscribe", include_in_schema=False)
def ask() -> Response[str]:
    """Return the page that asks. Nothing changes."""
    account, token = _link()
    try:
        address = _address(account, token)
    except (BotoCoreError, ClientError) as error:
        return _unavailable(error)
    if address is None:
        return _no_recipient()
    return _page(
        "Unsubscribe",
        f"<p>Shall <strong>{escape(address)}</strong> get no more e-mail about the backups of account "
        f"<strong>{escape(account)}</strong>?</p>\n      {_BUTTON}",
    )


@router.post("/unsubscribe", include_in_schema=False)
def unsubscribe() -> Response[str]:
    """Unsubscribe the recipient from all e-mail of the account."""
    account, token = _link()
    try:
        address = services().report_settings.unsubscribe(account, token) if token else None
    except (BotoCoreError, ClientError, Conflict) as error:
        return _unavailable(error)
    if address is None:
        return _no_recipient()
    return _page(
        "Unsubscribed",
        f"<p><strong>{escape(address)}</strong> gets no more e-mail about the backups of account "
        f"<strong>{escape(account)}</strong>.</p>\n"
        "      <p>Who looks after the account can add the address again, at “Monitoring”.</p>",
    )


def _link() -> tuple[str, str]:
    """Return the link's account and token, or two empty strings if they have not the form of a link's."""
    given = router.current_event.query_string_parameters or {}
    account, token = given.get("account", ""), given.get("token", "")
    if not 0 < len(account) <= _LONGEST_ACCOUNT or not account.isprintable() or not _TOKEN.fullmatch(token):
        return "", ""
    return account, token


def _address(account: str, token: str) -> str | None:
    recipient = services().report_settings.load(account).recipient_of(token) if token else None
    return recipient.address if recipient else None


def _no_recipient() -> Response[str]:
    return _page(
        "Unsubscribe",
        "<p>This link leads to nobody any more. If e-mail still comes, use the link in the latest one.</p>",
    )


def _unavailable(error: Exception) -> Response[str]:
    logger.error("request failed", extra={"reason": str(error)})
    return _page(
        "Unsubscribe",
        "<p>Something of ours does not answer just now: try again in a moment.</p>",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _page(title: str, content: str, status: HTTPStatus = HTTPStatus.OK) -> Response[str]:
    return Response(status, "text/html; charset=utf-8", _PAGE.format(title=title, content=content), _HEADERS)
