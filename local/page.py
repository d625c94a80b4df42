"""The page and its API on this machine: the HTTP API in front of the functions' processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from local.http_api import Authorizer, HttpApi, request_event
from local.sign_in import AUDIENCE
from local.stack import Stack, log_file
from local.template import HttpRoute, Template
from local.warm_up import warm_up
from local.worker import Worker

# A browser sends several requests at once; each worker answers one at a time.
_WORKERS = 3


@contextmanager
def page_running(  # noqa: PLR0913, PLR0917 - the address, the issuer and the environment
    template: Template,
    stack: Stack,
    issuer: str,
    host: str = "127.0.0.1",
    port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[HttpApi]:
    """Serve the page with warm functions. `issuer`: of the tokens. `environment`: variables to replace in functions."""
    functions = stack.functions()
    with ExitStack() as running:

        def worker(name: str) -> Worker:
            log = log_file(name)
            return running.enter_context(
                closing(Worker(functions[name], template.sources[name], stack, log, environment))
            )

        names = sorted({route.function for route in template.http_routes})
        workers = {name: [worker(name) for _ in range(_WORKERS)] for name in names}
        api = running.enter_context(HttpApi(template.http_routes, workers, Authorizer(issuer, AUDIENCE), host, port))
        warm_up({worker: _visit(template.http_routes, name) for name in names for worker in workers[name]})
        yield api


def _visit(routes: Sequence[HttpRoute], name: str) -> list[dict[str, Any]]:
    """Return a request to each route of the function, as a first visitor's, with an unknown account or ping key."""
    events = []
    for route in routes:
        if route.function == name:
            prefix = route.route_key.partition(" ")[2].removesuffix("{proxy+}")
            path = {"/v2/": "/v2/webhooks/WARM", "/p/": "/p/warm"}.get(prefix, "/")
            claims = {"account_alias": "WARM"} if route.authorized else None
            events.append(request_event(route, "GET", path, {}, b"", claims))
    return events
