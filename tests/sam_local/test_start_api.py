"""`sam local start-api`: the page with all its files, the API without sign-in, and ping URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from local.sign_in import SignIn
from local.template import PROJECT
from tests.support.sam_local import start_api
from tests.support.sam_world import World

PAGE = PROJECT / "functions/webhooks_api/page"
# A browser has as many requests at once.
BROWSER_CONNECTIONS = 6


@pytest.fixture(scope="module")
def url(ports: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("start_api") / "log"
    with start_api(log) as url:
        yield url


def request(url: str, method: str = "GET", **options: object) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, url, timeout=120, retries=False, **options)  # type: ignore[arg-type]


def test_a_browser_gets_the_page_and_all_that_it_refers_to(url: str, world: World) -> None:
    compressed = {"accept-encoding": "gzip"}
    index = request(f"{url}/", headers=compressed)
    assert (index.status, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert index.data == (PAGE / "index.html").read_bytes()

    files = sorted(set(re.findall(r'(?:src|href)="/page/([^"]+)"', index.data.decode())))
    with ThreadPoolExecutor(BROWSER_CONNECTIONS) as browser:
        answers = browser.map(lambda name: request(f"{url}/page/{name}", headers=compressed), files)
        got = {name: (answer.status, answer.data) for name, answer in zip(files, answers, strict=True)}

    assert {"style.css", "icon.svg", "app.js"} <= set(files)
    assert got == {name: (200, (PAGE / name).read_bytes()) for name in files}


def test_the_page_gets_its_sign_in_and_programs_get_the_api_document(url: str, world: World, sign_in: SignIn) -> None:
    config, document = request(f"{url}/config.json").json(), request(f"{url}/openapi.json").json()

    assert config["signIn"]["tokenEndpoint"] == f"{sign_in.url}/token"
    assert document["openapi"].startswith("3.1")
    assert "/v2/webhooks/{account}" in document["paths"]


def test_no_client_is_signed_in_as_sam_verifies_no_token(url: str, world: World, sign_in: SignIn) -> None:
    token = {"authorization": f"Bearer {sign_in.access_token('TEST')}"}

    answers = [request(f"{url}/v2/webhooks/TEST", headers=headers) for headers in ({}, token)]

    assert [(answer.status, answer.json()["detail"]) for answer in answers] == [
        (401, "A bearer token is required.")
    ] * 2


def test_a_ping_is_on_the_queue_once_it_is_answered(url: str, world: World) -> None:
    ping = request(f"{url}/p/{world.ping_key()}/1?rid=nightly", "POST", body=b"Fatal: unable to open repository")

    assert (ping.status, ping.data) == (200, b"OK\n")
    (body,) = world.taken_off("BackupEventsQueue")
    assert (body["type"], body["restorePointCreationStatus"]) == ("BackupFinished", "FAILED")
    assert (body["accountAlias"], body["serverId"]) == ("TEST", "fileserver")
