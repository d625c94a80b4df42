"""The scripts of docs/sources.md against the whole local stack, up to the posts that reach a customer's endpoint.

REAL_BACKUPS=1 also runs restic, Borg and borgmatic, which must be installed: apt-get install restic borgbackup, and
borgmatic 2 from PyPI in the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from backup_webhooks.events.messages import EventType

from local.clock import LocalClock
from local.demo import functions_running
from local.http_api import HttpApi
from local.receiver import Receiver
from local.sign_in import SignIn
from local.stack import Stack
from local.template import Template
from tests.integration.conftest import Account, new_account
from tests.support.pings import NIGHTLY
from tests.support.scripts import ScriptedServer
from tests.support.snippets import snippets

PATIENCE_SECONDS = 60
real_backups = pytest.mark.skipif("REAL_BACKUPS" not in os.environ, reason="opt-in: REAL_BACKUPS=1")

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")


@pytest.fixture(scope="module")
def running(template: Template, stack: Stack) -> Iterator[None]:
    with functions_running(template, stack, LocalClock(), workers_a_queue=1, scheduled=False):
        yield


@dataclass(frozen=True)
class Server(ScriptedServer):
    """A customer's server, with the account and the endpoint that get its events."""

    account: Account
    receiver: Receiver
    logs: Callable[[], list[dict[str, Any]]]

    def posted(self) -> dict[str, Any]:
        """Return the one post that reaches the customer's endpoint."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.receiver.posts and time.monotonic() < end:
            time.sleep(0.05)
        (post,) = self.receiver.posts
        return {"event": post.path[1:], "text": json.loads(post.body)["text"]}

    def status(self) -> str:
        """Return the backup's status in the post."""
        posted = self.posted()
        (status,) = re.findall(
            rf"^Status: (\w+)  -  Account: {self.account.alias}  -  Server: fileserver  -", posted["text"]
        )
        assert posted["event"] == {"SUCCESS": "Backup.Success", "FAILED": "Backup.Failure"}.get(
            status, "Backup.PartialSuccess"
        )
        return str(status)

    def output(self) -> str:
        """Return the backup output, once it is stored."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (items := self.logs()) and time.monotonic() < end:
            time.sleep(0.05)
        (item,) = items
        assert item["startedAt"] < item["finishedAt"], "the start was reported too"
        return str(item["output"])


@pytest.fixture
def server(running: None, stack: Stack, served: HttpApi, sign_in: SignIn, receiver: Receiver) -> Iterator[Server]:
    account = new_account(stack)
    for event in EventType:
        account.set_target(event, f"{receiver.url}/{event}")
    headers = {"authorization": f"Bearer {sign_in.access_token(account.alias)}"}
    base = f"{served.url}/v2/webhooks/{account.alias}"
    key = urllib3.request("POST", f"{base}/pingKeys", json=NIGHTLY, headers=headers).json()

    def logs() -> list[dict[str, Any]]:
        url = f"{base}/serverPolicies/{key['serverPolicyId']}/outputs"
        return list(urllib3.request("GET", url, headers=headers).json()["items"])

    # Not pytest's own folder, which other users may not enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # noqa: S103 - other users write there
        yield Server(Path(folder), key["url"], account, receiver, logs)


@pytest.fixture
def home(server: Server) -> Path:
    return server.home()


@pytest.mark.parametrize(("exit_status", "status"), [(0, "SUCCESS"), (7, "FAILED")])
def test_cron_and_curl(server: Server, exit_status: int, status: str) -> None:
    command = f"sh -c 'echo it said so; exit {exit_status}'"

    assert server.run("cron", {"your-backup-command": command}) == exit_status

    assert server.status() == status
    assert server.output() == "it said so"


@pytest.mark.parametrize(
    ("result", "status"),
    [("Success", "SUCCESS"), ("Warning", "PARTIAL_SUCCESS"), ("Error", "FAILED"), ("Unknown", "FAILED")],
)
def test_duplicatis_script_with_the_environment_that_it_documents(server: Server, result: str, status: str) -> None:
    report = server.folder / "report"
    report.write_text(f"ParsedResult: {result}\n")
    backup = {"DUPLICATI__OPERATIONNAME": "Backup"}
    after = {"DUPLICATI__PARSED_RESULT": result, "DUPLICATI__RESULTFILE": str(report), "DUPLICATI__EVENTNAME": "AFTER"}

    assert server.run("duplicati", {}, DUPLICATI__OPERATIONNAME="Restore", **after) == 0
    assert server.run("duplicati", {}, DUPLICATI__EVENTNAME="BEFORE", **backup) == 0
    assert server.run("duplicati", {}, **backup, **after) == 0

    assert server.status() == status
    assert server.output() == f"ParsedResult: {result}"


@pytest.mark.parametrize(("instance", "status"), [("0", "SUCCESS"), ("fail", "FAILED")])
def test_systemds_commands(server: Server, instance: str, status: str) -> None:
    """The commands run as under systemd, with its variables and a journal of one line."""
    units = snippets()
    (start,) = re.findall("^ExecStartPre=-(.*)$", units["backup.service"], re.MULTILINE)
    (end,) = re.findall("^ExecStart=/bin/sh -c '(.*)'$", units["backup-ping@.service"], re.MULTILINE)
    journal = server.folder / "journalctl"
    journal.write_text('#!/bin/sh\necho "$*"\n')
    journal.chmod(0o755)
    path = f"{server.folder}:{os.environ['PATH']}"
    run_id = "cc8fdc149b2b4ca698d4f259f4054236"

    for command in (start.replace("?", "\\?"), end.replace("%i", instance)):
        variables = {"PATH": path, "PING_URL": server.url, "INVOCATION_ID": run_id, "MONITOR_INVOCATION_ID": run_id}
        assert subprocess.run(["/bin/sh", "-c", command], env=variables, check=False).returncode == 0

    assert server.status() == status
    assert server.output() == f"-o cat _SYSTEMD_INVOCATION_ID={run_id}"


def needs(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


@real_backups
@pytest.mark.parametrize(
    ("status", "printed"),
    [("SUCCESS", "snapshot"), ("PARTIAL_SUCCESS", "permission denied"), ("FAILED", "Fatal")],
)
def test_restic(server: Server, home: Path, status: str, printed: str) -> None:
    needs("restic")

    exit_status = server.restic(home, status)

    assert server.status() == status
    assert (exit_status == 0) == (status == "SUCCESS")
    assert printed in server.output()


@real_backups
@pytest.mark.parametrize(
    ("status", "printed"),
    [("SUCCESS", "Archive name"), ("PARTIAL_SUCCESS", "Permission denied"), ("FAILED", "does not exist")],
)
def test_borg(server: Server, home: Path, status: str, printed: str) -> None:
    needs("borg")

    exit_status = server.borg(home, status)

    assert server.status() == status
    assert (exit_status == 0) == (status == "SUCCESS")
    assert printed in server.output()


@real_backups
@pytest.mark.parametrize(("case", "status"), [("good", "SUCCESS"), ("bad", "FAILED")])
def test_borgmatic(server: Server, home: Path, case: str, status: str) -> None:
    needs("borgmatic")
    repository = server.folder / "repo"
    if case == "good":
        server.call("borg", "init", "--encryption=none", str(repository))
    configuration = server.folder / "borgmatic.yaml"
    own = {"repositories": [{"path": str(repository)}], "source_directories": [str(home)]}
    configuration.write_text(yaml.safe_dump(own) + snippets()["borgmatic"].replace("PING_URL", server.url))

    answer = subprocess.run(
        ["borgmatic", "create", "--config", str(configuration)],
        env=server.environment,
        check=False,
    )

    assert server.status() == status
    assert (answer.returncode == 0) == (case == "good")
    if case == "bad":
        assert "does not exist" in server.output()
