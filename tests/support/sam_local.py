"""`sam local` on the output of `make artefact`: functions in containers, invoked alone or behind the HTTP API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.template import PROJECT

# The functions' base image, from any registry.
_IMAGE = "*/lambda/python:3.13-x86_64"
_SAM = PROJECT / "tools/sam/.venv/bin/sam"
# `sam` looks for the config file beside the template. It names events/env.json.
_BUILT = [
    *("--template", str(PROJECT / ".aws-sam/x86_64/template.yaml")),
    *("--config-file", str(PROJECT / "samconfig.toml")),
    *("--parameter-overrides", "Architecture=x86_64"),
]
_PATIENCE_SECONDS = 180
_POLL_SECONDS = 0.1


def invoke(function: str, event: Path) -> Any:
    """Return the function's answer to the event in that file. Raise `CalledProcessError` if `sam` itself failed.

    The log goes to this process's output.
    """
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as temporary:
        process = subprocess.Popen(
            _command("invoke", function, "--event", str(event)),
            cwd=PROJECT,
            env=_environment(temporary),
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            answer, _ = process.communicate(timeout=_PATIENCE_SECONDS)
        finally:
            _end(process)
            log.seek(0)
            print(log.read())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(answer)


@contextmanager
def start_api(log: Path) -> Iterator[str]:
    """Run the HTTP API, and yield its URL. `log`: the output of SAM and the functions."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as output, tempfile.TemporaryDirectory() as temporary:
        process = subprocess.Popen(
            _command("start-api", "--port", str(port)),
            cwd=PROJECT,
            env=_environment(temporary),
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # Like Ctrl-C: SAM removes its containers.
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE_SECONDS)


def _command(verb: str, *arguments: str) -> list[str]:
    return [str(_SAM), "local", verb, *arguments, *_BUILT, *_pulling()]


def _pulling() -> list[str]:
    """Return the option that keeps SAM from asking the registry for an image that is here."""
    there = subprocess.run(["docker", "images", "--quiet", _IMAGE], capture_output=True, check=True)
    return ["--skip-pull-image"] if there.stdout else []


def _environment(temporary: str) -> dict[str, str]:
    # Without the AWS credentials and settings of this machine.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # SAM's locks are files there. It would wait five minutes for the lock of a killed run.
    return own | {"SAM_CLI_TELEMETRY": "0", "TMPDIR": temporary}


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"sam local start-api did not start:\n{log.read_text()}")
