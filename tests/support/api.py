"""The API from a client's side: requests through the real handler, as API Gateway passes them on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from local.http_api import request_event
from local.template import HttpRoute
from tests.support.messages import Context

ROUTE = HttpRoute("ANY /v2/{proxy+}", "WebhooksApiFunction", authorized=True)


@dataclass(frozen=True)
class Answer:
    """An answer of the API."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def errors(self) -> dict[str, str]:
        """Return the error of each field, by field."""
        assert self.headers["content-type"] == "application/problem+json"
        return {error["field"]: error["reason"] for error in self.json["errors"]}


@dataclass(frozen=True)
class Client:
    """A client whose token names the account `claim`. None: a client without a token."""

    handler: Any
    claim: str | None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        target = path + (f"?{urlencode(query)}" if query else "")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        claims = None if self.claim is None else {"account_alias": self.claim, "sub": "user"}
        event = request_event(ROUTE, method, target, dict(headers or {}), content, claims)
        answer = self.handler(event, Context(function_name="WebhooksApiFunction"))
        return Answer(answer["statusCode"], answer["headers"], answer.get("body") or "")

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, **query)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.request("PUT", path, body, _named(headers))

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.request("PATCH", path, body, _named(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("POST", path, body, _named(headers))

    def delete(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self.request("DELETE", path, None, headers, **query)


def of_account(account: str, *steps: str) -> str:
    """`/v2/webhooks/{account}/…`"""
    return "/v2/webhooks/" + "/".join(quote(step, safe="") for step in (account, *steps))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
