"""The page's files, how to sign in, and the headers that block foreign code. All need no sign-in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from backup_webhooks import __version__

from local.http_api import HttpApi
from local.sign_in import AUDIENCE, CLIENT_ID, DEMO_USERS, SignIn
from local.template import PROJECT, HttpRoute, Template
from tests.integration.conftest import Account
from tests.support.api import Client, of_account

PAGE = PROJECT / "functions" / "webhooks_api" / "page"
PLAIN = urllib3.PoolManager(retries=False)


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PLAIN.request("GET", url, headers=named, decode_content=False, redirect=False)


class TestPage:
    def test_all_that_the_page_asks_for_is_there_and_comes_from_here(self, served: HttpApi) -> None:
        index = get(served.url + "/")
        assert (index.status, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
        asked_for = re.findall(r'(?:src|href)="([^"#]+)"', index.data.decode())
        for source in PAGE.glob("*.js"):
            asked_for += ["/page/" + name for name in re.findall(r'from "\./([^"]+)"', source.read_text())]
        assert "/page/app.js" in asked_for

        for path in set(asked_for):
            assert path.startswith("/"), "from another origin"
            assert get(served.url + path).status == 200, path

    def test_the_first_load_is_under_100_kb(self, served: HttpApi) -> None:
        sizes = {"/": len(get(served.url + "/", accept_encoding="gzip").data)}
        for path in PAGE.iterdir():
            if path.name != "index.html":
                answer = get(f"{served.url}/page/{path.name}", accept_encoding="gzip")
                assert answer.headers["content-encoding"] == "gzip"
                assert gzip.decompress(answer.data) == path.read_bytes()
                sizes[path.name] = len(answer.data)

        assert sum(sizes.values()) < 100_000, sizes

    def test_cached_files_are_not_sent_again(self, served: HttpApi) -> None:
        first = get(served.url + "/page/app.js")

        again = get(served.url + "/page/app.js", if_none_match=first.headers["etag"])

        assert (again.status, again.data) == (304, b"")

    def test_page_and_document_name_the_one_version(self, served: HttpApi) -> None:
        page, document = (get(f"{served.url}/{name}").json() for name in ("config.json", "openapi.json"))

        assert (page["version"], document["info"]["version"]) == (__version__, __version__)

    @pytest.mark.parametrize(
        "path", ["/page/app.py", "/page/..%2Fapp.py", "/page/../app.py", "/page/", "/app.py", "/x"]
    )
    def test_nothing_else_is_served(self, served: HttpApi, path: str) -> None:
        assert get(served.url + path).status == 404

    @pytest.mark.parametrize(
        "path", ["/", "/page/app.js", "/config.json", "/openapi.json", "/unsubscribe", "/x", "/v2/webhooks/A"]
    )
    def test_each_answer_has_the_headers_that_keep_strangers_code_out(
        self, served: HttpApi, sign_in: SignIn, path: str
    ) -> None:
        answer = get(served.url + path, authorization=f"Bearer {sign_in.access_token('A')}")
        assert (answer.status == 404) is (path == "/x")
        headers = answer.headers
        policy = headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["strict-transport-security"].startswith("max-age=")

    def test_the_page_may_talk_to_its_own_origin_and_the_token_endpoint_alone(
        self, served: HttpApi, sign_in: SignIn
    ) -> None:
        policy = dict(
            directive.split(" ", 1)
            for directive in get(served.url + "/").headers["content-security-policy"].split("; ")
        )

        assert policy["connect-src"] == f"'self' {sign_in.url}"
        assert policy["script-src"] == policy["style-src"] == "'self'"

    def test_the_page_holds_no_code_and_no_style_that_the_policy_would_stop(self) -> None:
        html = (PAGE / "index.html").read_text()
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", html)
        for source in PAGE.glob("*.js"):
            code = source.read_text()
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", code), (
                source
            )


class TestSignInOnAws:
    """The function's answer about the provider, for the page."""

    def test_how_to_sign_in_is_asked_of_the_provider(self, client_of: Callable[..., Client], sign_in: SignIn) -> None:
        answer = client_of(None, JWT_ISSUER=sign_in.url).get("/config.json")

        assert answer.json["signIn"] == {
            "authorizationEndpoint": f"{sign_in.url}/authorize",
            "tokenEndpoint": f"{sign_in.url}/token",
            "endSessionEndpoint": f"{sign_in.url}/logout",
            "clientId": CLIENT_ID,
            "scope": "openid",
            "audience": AUDIENCE,
            "token": "access_token",
            "accountClaim": "account_alias",
        }

    def test_with_our_own_user_pool_it_is_the_id_token_and_the_custom_attribute(
        self, account: Account, client_of: Callable[..., Client], sign_in: SignIn
    ) -> None:
        client = client_of(
            account.alias,
            JWT_ISSUER=sign_in.url,
            JWT_AUDIENCE=CLIENT_ID,
            SIGN_IN_TOKEN="id_token",
            ACCOUNT_CLAIM="custom:account_alias",
        )

        shown = client.get("/config.json").json["signIn"]

        assert (shown["token"], shown["accountClaim"], shown["audience"]) == ("id_token", "custom:account_alias", None)
        assert client.get(of_account(account.alias)).status == 403, "a claim of another name does not count"

    def test_a_provider_that_does_not_answer_gives_503_and_is_asked_again(
        self, client_of: Callable[..., Client]
    ) -> None:
        client = client_of(None, JWT_ISSUER="http://127.0.0.1:9")

        assert client.get("/config.json").status == 503
        assert "connect-src 'self';" in client.get("/").headers["content-security-policy"]


class TestGateway:
    """The local HTTP API accepts the tokens that API Gateway's authorizer would."""

    def status(self, served: HttpApi, token: str | None, path: str = "/v2/webhooks/TEST") -> int:
        return get(served.url + path, **({"authorization": f"Bearer {token}"} if token else {})).status

    def test_a_token_opens_its_own_account(self, served: HttpApi, sign_in: SignIn) -> None:
        assert self.status(served, sign_in.access_token("TEST")) == 200
        assert self.status(served, sign_in.access_token("OTHR")) == 403

    def test_an_invalid_token_opens_no_account(self, served: HttpApi, sign_in: SignIn) -> None:
        good = sign_in.access_token("TEST")
        head, claims, signature = good.split(".")
        forged = json.dumps(
            {"iss": sign_in.url, "aud": AUDIENCE, "exp": time.time() + 60, "account_alias": "*"}
        ).encode()
        with SignIn() as stranger:
            strangers = stranger.access_token("TEST", iss=sign_in.url)
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        for token in (
            None,
            "x",
            strangers,
            f"{head}.{base64.urlsafe_b64encode(forged).decode().rstrip('=')}.{signature}",
            f"{none}.{claims}.",
            sign_in.access_token("TEST", lifetime_seconds=-1),
            sign_in.access_token("TEST", aud="others"),
            sign_in.access_token("TEST", iss="http://others.example"),
            sign_in.access_token("TEST", nbf=int(time.time()) + 600),
        ):
            assert self.status(served, token) == 401, token

    def test_the_templates_routes_are_the_ones_that_are_served(self, template: Template) -> None:
        assert template.http_routes == (
            HttpRoute("ANY /v2/{proxy+}", "WebhooksApiFunction", authorized=True),
            HttpRoute("ANY /p/{proxy+}", "PingFunction", authorized=False),
            HttpRoute("$default", "WebhooksApiFunction", authorized=False),
        )


class TestDemoSignIn:
    def tokens(self, sign_in: SignIn, verifier: str, **changes: str) -> Any:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": "http://127.0.0.1:8000/",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": "s",
            "login": DEMO_USERS[0].email,
        }
        there = PLAIN.request("GET", f"{sign_in.url}/authorize", fields=query, redirect=False)
        code = parse_qs(urlsplit(there.headers["location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": CLIENT_ID,
            "redirect_uri": "http://127.0.0.1:8000/",
            "code_verifier": verifier,
        } | changes
        return PLAIN.request("POST", f"{sign_in.url}/token", fields=form, encode_multipart=False)

    def test_a_code_is_valid_only_for_the_client_that_asked_for_it(self, sign_in: SignIn) -> None:
        assert "access_token" in self.tokens(sign_in, "v" * 43).json()
        assert self.tokens(sign_in, "w" * 43).status == 400
        assert self.tokens(sign_in, "v" * 43, redirect_uri="http://127.0.0.1:8000/other").status == 400
        assert self.tokens(sign_in, "v" * 43, client_id="others").status == 400

    def test_it_redirects_only_to_this_machine(self, sign_in: SignIn) -> None:
        answer = PLAIN.request(
            "GET", f"{sign_in.url}/logout", fields={"logout_uri": "https://evil.example/"}, redirect=False
        )

        assert answer.status == 400

    def test_it_is_not_deployed(self) -> None:
        for folder in ("functions", "layers"):
            for path in Path(PROJECT / folder).rglob("*.py"):
                assert "local.sign_in" not in path.read_text()
