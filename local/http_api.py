"""The HTTP API as API Gateway runs it: the template's routes, their JWT authorizer, and events of format 2.0."""

from __future__ import annotations

import base64
import json
import queue
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt
import urllib3
from backup_webhooks.events.timestamps import Clock, epoch_milliseconds, utc_now

from local.quiet_server import QuietServer
from local.template import HttpRoute
from local.worker import FunctionError, Worker

_LARGEST_BODY = 10 * 1024 * 1024


@dataclass(frozen=True)
class Authorizer:
    """API Gateway's JWT authorizer, for the tokens of one issuer and one audience."""

    issuer: str
    audience: str

    def claims(self, authorization: str) -> Mapping[str, str] | None:
        """Return the claims of the token in the header, as text, or None if the token is not valid."""
        token = authorization.removeprefix("Bearer ").strip()
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            # Without an `aud`, API Gateway checks `client_id`.
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self.issuer,
                options={"verify_aud": False, "require": ["iss", "exp"]},
            )
        except jwt.PyJWTError:
            return None
        audiences = claims.get("aud", claims.get("client_id"))
        if self.audience not in (audiences if isinstance(audiences, list) else [audiences]):
            return None
        return {name: str(value) for name, value in claims.items()}

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        discovery = urllib3.request("GET", f"{self.issuer}/.well-known/openid-configuration").json()
        return jwt.PyJWKClient(discovery["jwks_uri"])


class HttpApi:
    """A server of the routes while its context is open; each request has a worker to itself.

    `workers`: of each function that a route calls, by name. `clock`: gives the time of requests.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the routes, their workers, the address and the clock
        self,
        routes: Sequence[HttpRoute],
        workers: Mapping[str, Sequence[Worker]],
        authorizer: Authorizer,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = utc_now,
    ) -> None:
        self._clock = clock
        self._routes = routes
        self._authorizer = authorizer
        self._idle: dict[str, queue.LifoQueue[Worker]] = {name: queue.LifoQueue() for name in workers}
        for name, of_function in workers.items():
            for worker in of_function:
                self._idle[name].put(worker)
        self._server = QuietServer((host, port), _handler(self))
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server.start("HTTP API")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
        """Return the answer to a request, in the form that functions return."""
        path = unquote(urlsplit(target).path)
        route = next((route for route in self._routes if route.matches(method, path)), None)
        if route is None:
            return _gateway_error(404, "Not Found")
        claims = None
        if route.authorized:
            claims = self._authorizer.claims(headers.get("authorization", ""))
            if claims is None:
                return _gateway_error(401, "Unauthorized") | {"headers": {"www-authenticate": "Bearer"}}
        idle = self._idle[route.function]
        # The request's time is taken before it waits for an environment.
        event = request_event(route, method, target, headers, body, claims, self._clock())
        worker = idle.get()
        try:
            answer: Mapping[str, Any] = worker.invoke(event)
        except FunctionError:
            return _gateway_error(500, "Internal Server Error")
        finally:
            idle.put(worker)
        return answer


def _gateway_error(status: int, message: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {}, "body": json.dumps({"message": message})}


def request_event(  # noqa: PLR0913, PLR0917 - the parts of a request
    route: HttpRoute,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    claims: Mapping[str, str] | None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return the request as a function gets it. `now`: the time of the request, if it is not the present.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    url = urlsplit(target)
    query: dict[str, str] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    context: dict[str, Any] = {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": headers.get("host", ""),
        "http": {
            "method": method,
            "path": unquote(url.path),
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": route.route_key,
        "stage": "$default",
        "timeEpoch": epoch_milliseconds(now or utc_now()),
    }
    if claims:
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    event = {
        "version": "2.0",
        "routeKey": route.route_key,
        "rawPath": unquote(url.path),
        "rawQueryString": url.query,
        # The gateway replaces this header if the client sends it.
        "headers": dict(headers) | {"x-forwarded-proto": "http"},
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if body:
        event |= _body(body)
    return event


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _handler(api: HttpApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length", 0))
            if length > _LARGEST_BODY:
                self.close_connection = True
                self._answer(_gateway_error(413, "Request Too Long"))
                return
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                known = headers.get(name.lower())
                headers[name.lower()] = value if known is None else f"{known},{value}"
            self._answer(api.answer(self.command, self.path, headers, self.rfile.read(length)))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = handle_any

        def _answer(self, answer: Mapping[str, Any]) -> None:
            text = answer.get("body") or ""
            body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
            self.send_response(answer["statusCode"])
            # API Gateway's default, for a function that names no content type.
            headers = {"content-type": "application/json"} if body else {}
            for name, value in (headers | dict(answer.get("headers") or {})).items():
                self.send_header(name, value)
            if answer["statusCode"] not in (204, 304):
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
