"""The page and its API on this machine: the HTTP API in front of the function's own processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

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
    """Serve it, warm, with the tokens of that issuer. `environment`: variables of the functions that are to differ."""
    functions = stack.functions()
    with ExitStack() as running:

        def worker(name: str) -> Worker:
            log = STACK_FILE.parent / f"{name}.log"
            return running.enter_context(
                closing(Worker(functions[name], template.sources[name], stack, log, environment))
            )

        names = sorted({route.function for route in template.http_routes})
        workers = {name: [worker(name) for _ in range(_WORKERS)] for name in names}
        api = running.enter_context(HttpApi(template.http_routes, workers, Authorizer(issuer, AUDIENCE), host, port))
        with ThreadPoolExecutor(_WORKERS * len(names)) as warming:
            every = [(name, one) for name, of_function in workers.items() for one in of_function]
            list(warming.map(lambda named: _warm(template.http_routes, *named), every))
        yield api


def _warm(routes: Sequence[HttpRoute], name: str, worker: Worker) -> None:
    """Ask for what each route of the function has, as the first visitor would: of no account, and with no key."""
    for route in routes:
        if route.function == name:
            prefix = route.route_key.partition(" ")[2].removesuffix("{proxy+}")
            path = {"/v2/": "/v2/webhooks/WARM", "/p/": "/p/warm"}.get(prefix, "/")
            claims = {"account_alias": "WARM"} if route.authorized else None
            worker.invoke(request_event(route, "GET", path, {}, b"", claims))
