"""The secret scan of `make check`. The secrets here are concatenated, so that it does not find them in this file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from local.template import PROJECT

PLANTED = {
    "aws": 'KEY = "' + "AKIA" + "Q3EGR7TZLWXN5UPD" + '"',
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "slack": "https://hooks.slack.com/services/" + "T024BE7LD/B1H9RNA4S/" + "q8Zt4Kx0uVbW" + "2mYcR7nLpDfE",
    "signing": "secret: whsec" + "_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "entropy": 'x = "' + "4f9d2b7c" * 2 + "1e8a6035" + '"',
}


def scan(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["tools/secrets", *map(str, files)], cwd=PROJECT, capture_output=True, text=True, check=False)


def test_each_planted_secret_is_found_where_it_is(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.py" for name in PLANTED]
    for file in files:
        file.write_text(PLANTED[file.stem] + "\n")

    answer = scan(*files)

    assert answer.returncode == 1
    assert [str(file) for file in files if f"{file}:1" not in answer.stdout] == []


def test_known_fakes_are_ignored_and_nothing_else_on_their_line(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text('SECRET = "hunter2"\n')
    assert scan(file).returncode == 0

    file.write_text('SECRET = "hunter2"  # ' + PLANTED["aws"] + "\n")
    assert scan(file).returncode == 1
