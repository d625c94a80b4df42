"""`make audit` against an OSV of our own: its questions, and its result for each answer and for none."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local.template import PROJECT

ADVISORY = "PYSEC-2026-1"


class Osv(ThreadingHTTPServer):
    """Answers as OSV's API does (`POST /v1/querybatch`, `GET /v1/vulns/ID`).

    `vulnerable`: the one package with an advisory. `asked`: names and versions.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.vulnerable = ""
        self.asked: set[tuple[str, str]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        self.server.asked |= {(query["package"]["name"], query["version"]) for query in queries}
        known = {"vulns": [{"id": ADVISORY, "modified": "2026-01-01T00:00:00Z"}]}
        self._answer(
            {"results": [known if query["package"]["name"] == self.server.vulnerable else {} for query in queries]}
        )

    def do_GET(self) -> None:
        self._answer({"id": ADVISORY, "summary": "planted", "modified": "2026-01-01T00:00:00Z"})

    def _answer(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[Osv]:
    with Osv() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ADVISORIES_URL": url, "UV_HTTP_RETRIES": "0"}
    return subprocess.run(
        ["tools/advisories"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


def locked(lock: Path) -> set[tuple[str, str]]:
    packages = tomllib.loads(lock.read_text())["package"]
    return {(one["name"], one["version"]) for one in packages if "registry" in one["source"]}


def test_each_package_of_each_lock_is_asked_about_and_none_is_known(osv: Osv) -> None:
    answer = audit(osv.url)

    assert answer.returncode == 0, answer.stdout
    locks = [PROJECT / "uv.lock", *(PROJECT / "tools").glob("*/uv.lock")]
    assert len(locks) > 1
    assert set().union(*map(locked, locks)) <= osv.asked
    assert "NOT ASKED" not in answer.stdout


@pytest.mark.parametrize("package", ["msgspec", "checkov"])
def test_an_advisory_fails_whichever_lock_has_the_package(osv: Osv, package: str) -> None:
    osv.vulnerable = package

    answer = audit(osv.url)

    assert answer.returncode == 1
    assert ADVISORY in answer.stdout
    assert f"\n{package} " in answer.stdout


def test_without_an_answer_the_audit_says_so_and_claims_neither_result() -> None:
    answer = audit("http://127.0.0.1:9")

    assert answer.returncode == 2
    assert "NOT ASKED" in answer.stdout
    assert "no known vulnerabilities" not in answer.stdout
