"""A demo sign-in: an OpenID Connect provider for the local stack only, which asks for no password.

It has all that the page and the authorizer need: Authorization Code with PKCE (RFC 7636), Discovery and signed tokens.
"""

from __future__ import annotations

import hashlib
import html
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.quiet_server import QuietServer

CLIENT_ID = "local-page"
AUDIENCE = "local-api"
_LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class DemoUser:
    """A user who can sign in."""

    email: str
    account_alias: str
    description: str


DEMO_USERS = (
    DemoUser("customer@test.example", "TEST", "A customer: account TEST, with the demo's servers"),
    DemoUser("customer@othr.example", "OTHR", "Another customer: account OTHR, where nothing is set up yet"),
    DemoUser("operator@backup.example", "*", "An operator, who may see all accounts"),
)


class SignIn:
    """The provider, which serves while its context is open. `url` is its issuer; it offers the `users`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.users = list(DEMO_USERS)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._codes: dict[str, tuple[DemoUser, str, str]] = {}
        self._refresh_tokens: dict[str, DemoUser] = {}
        self._server = QuietServer((host, port), _handler(self))
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server.start("sign-in")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def access_token(self, account_alias: str, lifetime_seconds: int = _LIFETIME_SECONDS, **claims: Any) -> str:
        """Return a token that the API accepts for that account."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": account_alias,
            "account_alias": account_alias,
            "iat": now,
            "exp": now + lifetime_seconds,
        } | claims
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "local"})

    def jwks(self) -> dict[str, Any]:
        """Return the key by which its tokens are verified."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [key | {"kid": "local", "use": "sig", "alg": "RS256"}]}

    def discovery(self) -> dict[str, str]:
        """Return the document of OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "end_session_endpoint": f"{self.url}/logout",
            "jwks_uri": f"{self.url}/jwks.json",
        }

    def code_for(self, user: DemoUser, challenge: str, redirect_uri: str) -> str:
        """Return a code that gives the page that user's tokens, once."""
        code = secrets.token_urlsafe()
        self._codes[code] = (user, challenge, redirect_uri)
        return code

    def tokens(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the answer of the token endpoint, or None for an invalid grant."""
        user = self._user_of_grant(form)
        return self.tokens_of(user) if user and form.get("client_id") == CLIENT_ID else None

    def tokens_of(self, user: DemoUser) -> dict[str, Any]:
        """Return what a sign-in of that user gives the page."""
        refresh_token = secrets.token_urlsafe()
        self._refresh_tokens[refresh_token] = user
        return {
            "access_token": self.access_token(user.account_alias, email=user.email),
            "id_token": self.access_token(user.account_alias, email=user.email, aud=CLIENT_ID),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": _LIFETIME_SECONDS,
        }

    def _user_of_grant(self, form: dict[str, str]) -> DemoUser | None:
        if form.get("grant_type") == "refresh_token":
            return self._refresh_tokens.pop(form.get("refresh_token", ""), None)
        user, challenge, redirect_uri = self._codes.pop(form.get("code", ""), (None, "", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        verified = urlsafe_b64encode(digest).decode().rstrip("=") == challenge
        return user if verified and redirect_uri == form.get("redirect_uri") else None


def _handler(provider: SignIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            match url.path:
                case "/.well-known/openid-configuration":
                    self._answer_json(200, provider.discovery())
                case "/jwks.json":
                    self._answer_json(200, provider.jwks())
                case "/authorize" if "redirect_uri" in query and query.get("code_challenge_method") == "S256":
                    self._authorize(query)
                case "/logout" if "logout_uri" in query:
                    self._redirect(query["logout_uri"])
                case _:
                    self._answer_json(400, {"error": "invalid_request"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = provider.tokens(form) if self.path == "/token" else None
            self._answer_json(200 if tokens else 400, tokens or {"error": "invalid_grant"})

        def _authorize(self, query: dict[str, str]) -> None:
            chosen = next((user for user in provider.users if user.email == query.get("login")), None)
            if chosen is None:
                self._answer(200, "text/html; charset=utf-8", _choice_page(provider.users, query).encode())
                return
            code = provider.code_for(chosen, query.get("code_challenge", ""), query["redirect_uri"])
            self._redirect(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query.get('state', '')})}")

        def _redirect(self, url: str) -> None:
            # Only to this machine, so that the demo is no open redirector.
            if urlsplit(url).hostname != urlsplit(provider.url).hostname:
                self._answer_json(400, {"error": "invalid_request"})
                return
            self.send_response(302)
            self.send_header("location", url)
            self.send_header("content-length", "0")
            self.end_headers()

        def _answer_json(self, status: int, body: Any) -> None:
            self._answer(status, "application/json", json.dumps(body).encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _choice_page(users: Sequence[DemoUser], query: dict[str, str]) -> str:
    links = "".join(
        f'<li><a href="/authorize?{html.escape(urlencode(query | {"login": user.email}))}">'
        f"{html.escape(user.email)}</a><br>{html.escape(user.description)}</li>"
        for user in users
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Demo sign-in</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}"
        "li{margin:1rem 0}</style></head><body><main><h1>Demo sign-in</h1>"
        f"<p>It exists on this machine only, and asks for no password. Sign in as:</p><ul>{links}</ul>"
        "</main></body></html>"
    )
