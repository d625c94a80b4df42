"""What the page needs to sign people in: the endpoints of the OpenID Connect provider, asked of the provider itself.

OpenID Connect Discovery 1.0: `{issuer}/.well-known/openid-configuration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from backup_webhooks.aws.settings import SignInSettings

_LIMITS = Timeout(connect=2, read=2)

logger = Logger(child=True)


class ProviderUnavailable(Exception):
    """The provider does not answer, or not as Discovery has it."""


@dataclass(slots=True)
class SignIn:
    """Tells how to sign in. Asks the provider once, and again only after a failure."""

    settings: SignInSettings
    _endpoints: Mapping[str, str | None] | None = None
    _pools: PoolManager = field(default_factory=lambda: PoolManager(timeout=_LIMITS, retries=Retry(1, redirect=0)))

    @property
    def endpoints(self) -> Mapping[str, str | None]:
        """`authorization_endpoint`, `token_endpoint`, and `end_session_endpoint`, None where the provider has none.

        Raises `ProviderUnavailable`.
        """
        if self._endpoints is None:
            self._endpoints = self._discover()
        return self._endpoints

    @property
    def token_origin(self) -> str | None:
        """The origin that the page must be let to connect to; None while the provider can't be asked."""
        try:
            parts = urlsplit(self.endpoints["token_endpoint"] or "")
        except ProviderUnavailable:
            return None
        return f"{parts.scheme}://{parts.netloc}"

    def _discover(self) -> Mapping[str, str | None]:
        url = self.settings.issuer.removesuffix("/") + "/.well-known/openid-configuration"
        try:
            document: Any = self._pools.request("GET", url).json()
            return {
                "authorization_endpoint": _endpoint(document["authorization_endpoint"]),
                "token_endpoint": _endpoint(document["token_endpoint"]),
                "end_session_endpoint": _endpoint(document["end_session_endpoint"])
                if "end_session_endpoint" in document
                else None,
            }
        except (HTTPError, ValueError, KeyError, TypeError) as error:
            logger.error("the sign-in's provider does not answer as it should", extra={"reason": str(error)})
            raise ProviderUnavailable(url) from error


def _endpoint(url: object) -> str:
    """The URL, if it is one that may stand in a Content-Security-Policy."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("https", "http") or not parts.netloc or set(parts.netloc) & set(" ;,'\"\\"):
        raise ValueError("an endpoint is no URL")
    return str(url)
