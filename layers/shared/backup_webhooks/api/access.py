"""Access control: a caller may read and change only the account that the caller's token names.

The gateway has verified the token (template.yaml: the routes' JWT authorizer) and passes its claims in the event, where
no caller can write. A request by a route without an authorizer has no claims, and is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError, UnauthorizedError
from aws_lambda_powertools.event_handler.openapi.params import Path

from backup_webhooks.api.services import services

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

# The claim's value in an operator's token: it covers all accounts.
ALL_ACCOUNTS = "*"

Account = Annotated[str, Path(min_length=1, max_length=64, description="Account alias")]
"""The account in a route's path. `account_access` refuses a caller whose token does not cover it."""


def account_access(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Call the route. Raise `ForbiddenError` if the caller's token does not cover the account.

    The check reads the argument that the route is called with. Raise `NotFoundError` for an operator's request if the
    account never had a target or a backup, so that a typing error does not look like an account without targets.
    """
    account = app.context["_route_args"].get("account")
    if account is not None:
        claimed = _claims(app.current_event.raw_event).get(services().sign_in.settings.account_claim)
        if claimed == ALL_ACCOUNTS:
            if not _is_known(account):
                raise NotFoundError("There is no such account, or it never had a target or a backup.")
        elif claimed != account:
            raise ForbiddenError("Your sign-in does not cover this account.")
    return next_middleware(app)


def _claims(event: Mapping[str, Any]) -> Mapping[str, str]:
    authorizer = event["requestContext"].get("authorizer") or {}
    claims: Mapping[str, str] | None = (authorizer.get("jwt") or {}).get("claims")
    if not claims:
        raise UnauthorizedError("A bearer token is required.")
    return claims


def _is_known(account: str) -> bool:
    return services().targets.knows(account) or services().server_policies.knows(account)
