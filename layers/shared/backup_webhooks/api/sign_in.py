"""The endpoints of the OpenID Connect provider, by which the page signs people in.

The provider publishes them (OpenID Connect Discovery 1.0) at `{issuer}/.well-known/openid-configuration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from backup_webhooks.aws.settings import Settings, Text

_LIMITS = Timeout(connect=2, read=2)

logger = Logger(child=True)


class SignInSettings(Settings, frozen=True, kw_only=True):
    """Settings of the sign-in: an OpenID Connect provider, and the claim of its tokens that names the account.

    `jwt_audience`: the audience that a token must have; `sign_in_client_id`: the page's client id; `sign_in_token`: the
    token that the page sends.
    """

    jwt_issuer: Text
    jwt_audience: Text
    sign_in_client_id: Text
    sign_in_token: Literal["access_token", "id_token"]
    account_claim: Text


class ProviderUnavailable(Exception):
    """The provider does not answer, or its answer does not follow Discovery."""


@dataclass(slots=True)
class SignIn:
    """The endpoints of the provider, which is asked once, and again only after a failure."""

    settings: SignInSettings
    _endpoints: Mapping[str, str | None] | None = None
    _pools: PoolManager = field(default_factory=lambda: PoolManager(timeout=_LIMITS, retries=Retry(1, redirect=0)))

    @property
    def endpoints(self) -> Mapping[str, str | None]:
        """`authorization_endpoint`, `token_endpoint`, and `end_session_endpoint`, which is None if there is none.

        Raise `ProviderUnavailable` if the provider cannot be asked.
        """
        if self._endpoints is None:
            self._endpoints = self._discover()
        return self._endpoints

    @property
    def token_origin(self) -> str | None:
        """The origin that issues tokens, to which the page must connect; None while the provider cannot be asked."""
        try:
            parts = urlsplit(self.endpoints["token_endpoint"] or "")
        except ProviderUnavailable:
            return None
        return f"{parts.scheme}://{parts.netloc}"

    def _discover(self) -> Mapping[str, str | None]:
        url = self.settings.jwt_issuer.removesuffix("/") + "/.well-known/openid-configuration"
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
            logger.error("the sign-in provider gave no valid answer", extra={"reason": str(error)})
            raise ProviderUnavailable(url) from error


def _endpoint(url: object) -> str:
    """Return the URL. Raise `ValueError` if it may not stand in a Content-Security-Policy."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("https", "http") or not parts.netloc or set(parts.netloc) & set(" ;,'\"\\"):
        raise ValueError("an endpoint is not a URL")
    return str(url)
