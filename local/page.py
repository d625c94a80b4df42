"""The page and its API on this machine: the HTTP API in front of the function's own processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from local.http_api import Authorizer, HttpApi, request_event
from local.sign_in import AUDIENCE
from local.stack import STACK_FILE, Stack
from local.template import HttpRoute, Template
from local.worker import Worker

# A browser asks for several things at once; each worker answers one request at a time.
_WORKERS = 3


@contextmanager
def page_running(  # noqa: PLR0913, PLR0917 - where, and whom to trust
    template: Template,
    stack: Stack,
    issuer: str,
    host: str = "127.0.0.1",
    port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[HttpApi]:
    """Serve it, warm, with the tokens of that issuer. `environment`: variables of the function that are to differ."""
    name = template.http_routes[0].function
    function = stack.functions()[name]
    log = STACK_FILE.parent / f"{name}.log"
    with ExitStack() as running:
        workers = [
            running.enter_context(closing(Worker(function, template.sources[name], stack, log, environment)))
            for _ in range(_WORKERS)
        ]
        api = running.enter_context(HttpApi(template.http_routes, workers, Authorizer(issuer, AUDIENCE), host, port))
        with ThreadPoolExecutor(_WORKERS) as warming:
            list(warming.map(partial(_warm, template.http_routes), workers))
        yield api


def _warm(routes: Sequence[HttpRoute], worker: Worker) -> None:
    """Ask for the page and for an account's webhooks, as the first visitor would."""
    for route in routes:
        claims = {"account_alias": "WARM"} if route.authorized else None
        worker.invoke(request_event(route, "GET", "/v2/webhooks/WARM" if claims else "/", {}, b"", claims))
