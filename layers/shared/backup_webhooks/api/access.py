"""Who may see and change what: the account that the caller's token names, and no other.

The gateway has verified the token (template.yaml: the routes' JWT authorizer); its claims come with the event, where
nobody but the gateway writes. A request that came by a route without an authorizer has none, and is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError, UnauthorizedError
from aws_lambda_powertools.event_handler.openapi.params import Path

from backup_webhooks.api.services import Services, services

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

# In the claim: of an operator, who sees all accounts.
ALL_ACCOUNTS = "*"

Account = Annotated[str, Path(min_length=1, max_length=64, description="Account alias")]
"""The account in the path of a route, on behalf of which `account_access` lets nobody but its own people call."""


def account_access(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Refuse a request for an account that the caller's token does not cover.

    Looks at the very argument that the route will be called with. An operator's typing error is told apart from an
    account without webhooks: of an unknown account nothing was ever set or heard.
    """
    account = app.context["_route_args"].get("account")
    if account is not None:
        claimed = _claims(app.current_event.raw_event).get(services().sign_in.settings.account_claim)
        if claimed == ALL_ACCOUNTS:
            if not _is_known(services(), account):
                raise NotFoundError("There is no such account, or nothing was ever heard of it.")
        elif claimed != account:
            raise ForbiddenError("Your sign-in does not cover this account.")
    return next_middleware(app)


def _claims(event: Mapping[str, Any]) -> Mapping[str, str]:
    authorizer = event["requestContext"].get("authorizer") or {}
    claims: Mapping[str, str] | None = (authorizer.get("jwt") or {}).get("claims")
    if not claims:
        raise UnauthorizedError("A bearer token is required.")
    return claims


def _is_known(known_to: Services, account: str) -> bool:
    return known_to.configurations.knows(account) or known_to.server_policies.knows(account)
