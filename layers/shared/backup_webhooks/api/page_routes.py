"""Routes without sign-in: the page's files, and the settings that the page needs to sign people in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceUnavailableError

from backup_webhooks import __version__
from backup_webhooks.api.services import services
from backup_webhooks.api.sign_in import ProviderUnavailable

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The browser asks each time and gets a 304 if it has the file, so that a new version shows at once.
_CACHING = {"cache-control": "no-cache", "vary": "accept-encoding"}


@dataclass(frozen=True)
class Asset:
    """A file of the page."""

    path: Path

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.path.read_bytes()

    @cached_property
    def etag(self) -> str:
        """The ETag by which a browser recognises the file."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


def page_router(folder: Path) -> Router:
    """Return the routes of the page. `folder`: the folder with its files."""
    router = Router()
    assets = {path.name: Asset(path) for path in folder.iterdir() if path.suffix in _CONTENT_TYPES}

    def answer(name: str, headers: dict[str, Any]) -> Response[Any]:
        if not (asset := assets.get(name)):
            raise NotFoundError
        headers = {"etag": asset.etag} | _CACHING | headers
        if router.current_event.headers.get("if-none-match") == asset.etag:
            return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(HTTPStatus.OK, _CONTENT_TYPES[asset.path.suffix], asset.content.decode(), headers)

    @router.get("/", include_in_schema=False, compress=True)
    def index() -> Response[Any]:
        return answer("index.html", {"content-security-policy": _content_security_policy()})

    @router.get("/page/<name>", include_in_schema=False, compress=True)
    def asset(name: str) -> Response[Any]:
        return answer(name, {})

    @router.get("/config.json", include_in_schema=False)
    def config() -> dict[str, Any]:
        return {"version": __version__, "signIn": _sign_in()}

    return router


def _sign_in() -> dict[str, Any]:
    sign_in = services().sign_in
    settings = sign_in.settings
    try:
        endpoints = sign_in.endpoints
    except ProviderUnavailable:
        raise ServiceUnavailableError("The sign-in does not answer just now: try again.") from None
    return {
        "authorizationEndpoint": endpoints["authorization_endpoint"],
        "tokenEndpoint": endpoints["token_endpoint"],
        "endSessionEndpoint": endpoints["end_session_endpoint"],
        "clientId": settings.sign_in_client_id,
        "scope": "openid",
        # Some providers issue tokens for an API only to those that ask for it by name.
        "audience": settings.jwt_audience if settings.jwt_audience != settings.sign_in_client_id else None,
        "token": settings.sign_in_token,
        "accountClaim": settings.account_claim,
    }


def _content_security_policy() -> str:
    """Return the policy: the page loads from its own origin only, and connects also to the one that issues tokens."""
    connect = " ".join(["'self'", *filter(None, [services().sign_in.token_origin])])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
