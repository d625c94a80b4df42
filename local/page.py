"""The page and its API on this machine: the HTTP API in front of the functions' processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

from local.http_api import Authorizer, HttpApi, request_event
from local.sign_in import AUDIENCE
from local.stack import STACK_FILE, Stack
from local.template import HttpRoute, Template
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
            log = STACK_FILE.parent / f"{name}.log"
            return running.enter_context(
                closing(Worker(functions[name], template.sources[name], stack, log, environment))
            )

        names = sorted({route.function for route in template.http_routes})
        workers = {name: [worker(name) for _ in range(_WORKERS)] for name in names}
        api = running.enter_context(HttpApi(template.http_routes, workers, Authorizer(issuer, AUDIENCE), host, port))
        with ThreadPoolExecutor(_WORKERS * len(names)) as warming:
            pairs = [(name, worker) for name, of_function in workers.items() for worker in of_function]
            list(warming.map(lambda pair: _warm(template.http_routes, *pair), pairs))
        yield api


def _warm(routes: Sequence[HttpRoute], name: str, worker: Worker) -> None:
    """Send a request to each route of the function, as a first visitor would, with an unknown account or ping key."""
    for route in routes:
        if route.function == name:
            prefix = route.route_key.partition(" ")[2].removesuffix("{proxy+}")
            path = {"/v2/": "/v2/webhooks/WARM", "/p/": "/p/warm"}.get(prefix, "/")
            claims = {"account_alias": "WARM"} if route.authorized else None
            worker.invoke(request_event(route, "GET", path, {}, b"", claims))
