"""The page and its API on this machine: the HTTP API in front of the function's own processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

from local.http_api import Authorizer, HttpApi
from local.sign_in import AUDIENCE
from local.stack import STACK_FILE, Stack
from local.template import Template
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
            list(warming.map(lambda _: api.answer("GET", "/openapi.json", {}, b""), workers))
        yield api
