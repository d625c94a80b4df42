"""`python -m local token`: a demo user's token, to call the API with."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from local.sign_in import CLIENT_ID, DEMO_USERS
from local.stack import running


def add_commands(commands: Any) -> None:
    """Add the command `token`."""
    token = commands.add_parser("token", help="a token for the running stack's API")
    token.add_argument(
        "account",
        nargs="?",
        default=DEMO_USERS[0].account_alias,
        help="the user's account (default: TEST; '*': an operator's)",
    )
    token.set_defaults(call=_print_token)


def _print_token(options: argparse.Namespace) -> int:
    user = next((user for user in DEMO_USERS if user.account_alias == options.account), None)
    if user is None:
        known = ", ".join(user.account_alias for user in DEMO_USERS)
        print(f"account: no demo user has it; allowed: {known}", file=sys.stderr)
        return 1
    function = running().functions()["WebhooksApiFunction"]
    print(sign_in(function.environment["JWT_ISSUER"], user.email)["access_token"])
    return 0


def sign_in(issuer: str, email: str) -> Any:
    """Return the tokens that the provider gives that user, by Authorization Code with PKCE, as the page gets them."""
    # Nothing listens at this URI: the code is read from the redirect itself.
    verifier, redirect_uri = secrets.token_urlsafe(32), f"http://{urlsplit(issuer).hostname}/"
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    pools = urllib3.PoolManager()
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "login": email,
    }
    redirect = pools.request("GET", f"{issuer}/authorize", fields=query, redirect=False)
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(redirect.headers["location"]).query)["code"][0],
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    return pools.request("POST", f"{issuer}/token", fields=form, encode_multipart=False).json()
