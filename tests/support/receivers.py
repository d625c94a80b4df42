"""The programs of docs/webhooks.md as a reader runs them: the checks of a post, and the endpoints."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from local.receiver import Post
from tests.support.endpoints import free_port
from tests.support.snippets import snippets

# The commands that each language needs.
NEEDS = {"python": sys.executable, "node": "node", "sh": "openssl"}
_NODE = """
import { isGenuine } from "./verify.mjs";
import { readFileSync } from "node:fs";
const { secret, headers, body } = JSON.parse(readFileSync(0));
process.exit(isGenuine(secret, headers, Buffer.from(body, "latin1")) ? 0 : 1);
"""
# A process that is starting is tried again, after longer and longer pauses.
_STARTING = urllib3.Retry(connect=12, read=0, redirect=0, status=0, backoff_factor=0.02)


@dataclass(frozen=True)
class Programs:
    """The programs of the page, written to a folder."""

    folder: Path

    def __post_init__(self) -> None:
        for name, text in snippets("webhooks.md").items():
            (self.folder / name).write_text(text)

    def is_genuine(self, language: str, secret: str, post: Post) -> bool:
        """Return what the page's check in that language says of the post."""
        if language == "python":
            check: Callable[[str, Mapping[str, str], bytes], bool]
            check = runpy.run_path(str(self.folder / "verify.py"))["is_genuine"]
            return check(secret, post.headers, post.body)
        if language == "node":
            fields = {"secret": secret, "headers": dict(post.headers), "body": post.body.decode("latin1")}
            return self._ends_well(["node", "--input-type=module", "-e", _NODE], json.dumps(fields).encode())
        signed = [post.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
        return self._ends_well(["/bin/sh", "verify.sh", secret, *signed], post.body)

    def _ends_well(self, command: list[str], given: bytes) -> bool:
        ended = subprocess.run(command, input=given, cwd=self.folder, capture_output=True, check=False)
        # It exits with an answer, and without errors.
        assert (ended.returncode in (0, 1), ended.stderr) == (True, b"")
        return ended.returncode == 0

    def try_endpoint(self, secret: str, url: str) -> str:
        """Return the output of the page's script for trying an endpoint."""
        command = ["/bin/sh", "try.sh", secret, url]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    @contextmanager
    def endpoint(self, language: str, secret: str) -> Iterator[RunningEndpoint]:
        """Run the page's endpoint in that language, and yield it once it answers."""
        port = free_port()
        command = {"python": [sys.executable, "endpoint.py"], "node": ["node", "endpoint.mjs"]}[language]
        environment = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, "PORT": str(port)}
        running = RunningEndpoint(f"http://127.0.0.1:{port}/")
        process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            urllib3.request("GET", running.url, retries=_STARTING)
            yield running
        finally:
            process.terminate()
            running.printed.extend(process.communicate()[0].splitlines())


@dataclass(frozen=True)
class RunningEndpoint:
    """A running endpoint. `printed`: its lines, once it has ended."""

    url: str
    printed: list[str] = field(default_factory=list)


def is_there(language: str) -> bool:
    """Return whether this machine can run the programs in that language."""
    return shutil.which(NEEDS[language]) is not None
