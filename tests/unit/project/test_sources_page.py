"""The scripts of docs/sources.md are whole, and the same in each place. Integration tests run them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from local.template import PROJECT
from tests.support.snippets import snippets

SCRIPTS = ["cron", "restic", "borg", "duplicati"]
UNITS = ["backup.service", "backup-ping@.service", "backup.timer"]


def test_there_is_one_for_each_program() -> None:
    assert sorted(snippets()) == sorted([*SCRIPTS, *UNITS, "borgmatic"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_shell_understands_it(name: str) -> None:
    script = snippets()[name]

    assert subprocess.run(["/bin/sh", "-n"], input=script, text=True, check=False).returncode == 0
    # A ping that fails must not prevent a backup.
    assert "set -e" not in script


def test_borgmatics_is_yaml_and_no_ping_of_it_stops_a_backup() -> None:
    commands = yaml.safe_load(snippets()["borgmatic"])["commands"]

    assert [next(iter(one)) for one in commands] == ["before", "after", "after"]
    assert all(command.endswith("|| true") for one in commands for command in one["run"])


def test_each_ping_is_given_ten_seconds_and_tried_again() -> None:
    for name, script in snippets().items():
        for call in re.findall(r"curl .*", script):
            assert re.match(r"curl -fsS -m 10 --retry \d -o /dev/null ", call), name


def test_the_page_shows_the_script_for_cron() -> None:
    source = (PROJECT / "functions" / "webhooks_api" / "page" / "ping_urls.js").read_text()
    (shown,) = re.findall(r"`(#!/bin/sh\n.*?)`", source, re.DOTALL)

    assert shown.replace("${url}", "PING_URL").strip() == snippets()["cron"].strip()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("units")
    for name in UNITS:
        (folder / name).write_text(snippets()[name].replace("/usr/local/bin/your-backup-command", "/bin/true"))

    command = ["systemd-analyze", "verify", "--recursive-errors=no", *(str(folder / name) for name in UNITS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stderr) == (0, "")
