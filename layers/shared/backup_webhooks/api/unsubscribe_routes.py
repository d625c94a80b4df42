"""Where the links of our e-mail lead: who holds one can end the e-mail of its recipient, without signing in.

GET only asks, as mail scanners follow links; POST does it, whatever its body: the page's button sends one, and so does
that of a mail program (RFC 8058). A link that leads to nobody answers 200 as well: a mail program that tries again has
not failed. It tells nothing: not what it holds, nor whether there is such an account.
"""

from __future__ import annotations

import re
from html import escape
from http import HTTPStatus

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
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>{title} &rsaquo; Simple Backup</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="robots" content="noindex">
  <link rel="icon" type="image/svg+xml" href="/page/icon.svg">
  <link rel="stylesheet" href="/page/style.css">
</head>
<body>
  <header class="top">
    <div class="top-inner">
      <a class="brand" href="/"><img src="/page/icon.svg" alt="" width="28" height="28">Simple Backup</a>
    </div>
  </header>
  <main>
    <h1>{title}</h1>
    <div class="panel welcome">
      {content}
    </div>
  </main>
</body>
</html>
"""
# Without an action: to the address that the page has, with its parameters.
_BUTTON = '<form method="post"><button class="primary">Unsubscribe</button></form>'

logger = Logger(child=True)
router = Router()


@router.get("/unsubscribe", include_in_schema=False)
def ask() -> Response[str]:
    """The page that asks; nothing changes."""
    account, token = _link()
    try:
        address = _address(account, token)
    except (BotoCoreError, ClientError) as error:
        return _unavailable(error)
    if address is None:
        return _nobody()
    return _page(
        "Unsubscribe",
        f"<p>Shall <strong>{escape(address)}</strong> get no more e-mail about the backups of account "
        f"<strong>{escape(account)}</strong>?</p>\n      {_BUTTON}",
    )


@router.post("/unsubscribe", include_in_schema=False)
def unsubscribe() -> Response[str]:
    """The recipient gets no more e-mail of the account."""
    account, token = _link()
    try:
        address = services().report_settings.unsubscribe(account, token) if token else None
    except (BotoCoreError, ClientError, Conflict) as error:
        return _unavailable(error)
    if address is None:
        return _nobody()
    return _page(
        "Unsubscribed",
        f"<p><strong>{escape(address)}</strong> gets no more e-mail about the backups of account "
        f"<strong>{escape(account)}</strong>.</p>\n"
        "      <p>Who looks after the account can add the address again, at “Monitoring”.</p>",
    )


def _link() -> tuple[str, str]:
    """Account and token of the link; both empty where they can't be those of one of ours."""
    given = router.current_event.query_string_parameters or {}
    account, token = given.get("account", ""), given.get("token", "")
    if not 0 < len(account) <= _LONGEST_ACCOUNT or not account.isprintable() or not _TOKEN.fullmatch(token):
        return "", ""
    return account, token


def _address(account: str, token: str) -> str | None:
    recipient = services().report_settings.load(account).recipient_of(token) if token else None
    return recipient.address if recipient else None


def _nobody() -> Response[str]:
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
