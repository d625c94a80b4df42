"""What a function's cold start costs: its import and its first clients, against a bare handler that makes the same.

AWS's runtime interface emulator runs the functions and their layers as they are built, for x86_64: layers compiled,
handlers not. Its own `INIT REPORT` is the figure. The bare handler has the same layers, and both find all of it in the
page cache.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import urllib3

from benchmarks.figures import Figure
from local.stack import Function, Stack, embedded
from local.template import PROJECT, translate

BUILD = PROJECT / ".aws-sam" / "x86_64"
LAYERS = ("DependenciesLayer", "SharedLayer")
GOAL = "<= 1.25"
ROUNDS, QUICK_ROUNDS = 9, 3
# What each function makes at its first invocation, and the clients that this takes.
_API = "from backup_webhooks.api.services import services; services()"
FIRST_USES = {
    "NotifierFunction": ("app._notifier()", ("dynamodb", "sqs")),
    "MissedBackupsFunction": ("app._detector()", ("dynamodb", "sqs")),
    "RedelivererFunction": ("app._redeliverer()", ("dynamodb", "sqs")),
    "WebhooksApiFunction": (_API, ("dynamodb", "sqs")),
    "DailyReportFunction": ("app._due_reports(); app._account_reports()", ("dynamodb", "sqs", "sesv2")),
    "EmailNoticesFunction": ("app._email_notices()", ("dynamodb", "sesv2")),
    "AwsBackupFunction": ("app._jobs(); app._plans()", ("dynamodb", "sqs", "backup")),
    "PingFunction": ("app._pings()", ("dynamodb", "sqs")),
}
# AWS Backup's function is there only where there is an AWS Backup, which nobody calls here.
NOBODY = "http://127.0.0.1:9"
WITH_A_GOAL = ("NotifierFunction", "MissedBackupsFunction")

# Both answer with the processor time that their process has used by the end of its init.
_MEASURED = """\
import app
{first_use}
import time
cpu = time.process_time()
def lambda_handler(event, context): return cpu
"""
_BARE = """\
import boto3
from botocore.config import Config
config = Config(
    connect_timeout=1, read_timeout=2, retries={{"mode": "standard", "total_max_attempts": 3}},
    max_pool_connections=64, tcp_keepalive=True,
)
made = [boto3.client(service, config=config) for service in {services}]
import time
cpu = time.process_time()
def lambda_handler(event, context): return cpu
"""


@dataclass(frozen=True)
class Init:
    """One init: what the emulator says, and the processor time of the function's process."""

    milliseconds: float
    cpu_milliseconds: float


@dataclass(frozen=True)
class World:
    """Copies of the build, of the runtime client and of the handlers, where nobody else writes or builds."""

    folder: Path
    emulator: Path
    stack: Stack
    functions: Mapping[str, Function]

    @classmethod
    def make(cls, folder: Path, stack: Stack) -> World:
        """Copy all that is run."""
        (site_packages,) = [Path(path) for path in sys.path if path.endswith("site-packages")][:1]
        for name in (*FIRST_USES, *LAYERS):
            shutil.copytree(BUILD / name, folder / name)
        runtime = folder / "runtime"
        for name in ("awslambdaric", "snapshot_restore_py", "simplejson"):
            if (site_packages / name).exists():
                shutil.copytree(site_packages / name, runtime / name)
        for extension in site_packages.glob("runtime_client*.so"):
            shutil.copy(extension, runtime)
        # It is part of the runtime, which comes compiled.
        compileall.compile_dir(runtime, quiet=1)
        for name, (first_use, services) in FIRST_USES.items():
            (folder / name / "measured.py").write_text(_MEASURED.format(first_use=first_use))
            bare = folder / f"{name}-bare"
            bare.mkdir()
            (bare / "measured.py").write_text(_BARE.format(services=services))
        (emulator,) = (PROJECT / "tools/sam/.venv").glob("lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64")
        return cls(folder, emulator, stack, stack.functions())

    def init(self, name: str, *, bare: bool) -> Init:
        """Start the function, or its floor, in a new process."""
        code = self.folder / (f"{name}-bare" if bare else name)
        path = [code, *(self.folder / layer / "python" for layer in LAYERS), self.folder / "runtime"]
        environment = (
            dict(self.functions[name].environment)
            | self.stack.aws_environment()
            | {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONTZPATH": ""}
            | {"AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_TIMEOUT": "30", "AWS_REGION": "us-east-1"}
            # Where a function's files are on Lambda, nothing can be written.
            | {"PYTHONDONTWRITEBYTECODE": "1"}
        )
        with _free_ports() as (port, api_port):
            command = [
                str(self.emulator),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api_port}"),
                *(sys._base_executable, "-m", "awslambdaric", "measured.lambda_handler"),  # type: ignore[attr-defined]
            ]
        log = self.folder / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=code, env=environment, stdout=output, stderr=output) as process,
        ):
            try:
                cpu = _invoke(port)
            finally:
                process.terminate()
        reports = re.findall(r"INIT REPORT\(durationMs: ([\d.]+)\)", log.read_text())
        if not isinstance(cpu, float) or not reports:
            raise RuntimeError(f"{name}: no init: {cpu}\n{log.read_text()}")
        return Init(float(reports[0]), cpu * 1000)


@contextmanager
def _free_ports() -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield one.getsockname()[1], other.getsockname()[1]


def _invoke(port: int) -> object:
    """The handler's answer, once the emulator listens."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    return json.loads(urllib3.request("POST", url, body=b"{}", timeout=60, retries=False).data)


def _figures(world: World, name: str, rounds: int) -> Iterator[Figure]:
    # Into the page cache.
    for bare in (True, False):
        world.init(name, bare=bare)
    own, floor = [], []
    for _ in range(rounds):
        floor.append(world.init(name, bare=True))
        own.append(world.init(name, bare=False))
    short = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
    for kind in ("milliseconds", "cpu_milliseconds"):
        figure, least = (statistics.median(getattr(init, kind) for init in inits) for inits in (own, floor))
        yield Figure(
            name=f"init-{short}" + "-cpu" * (kind == "cpu_milliseconds"),
            figure=figure,
            unit="ms",
            floor=least,
            ratio=figure / least,
            goal=GOAL if name in WITH_A_GOAL else None,
            note=f"{rounds} rounds; {'the process' if kind == 'cpu_milliseconds' else 'INIT REPORT'}",
        )


def measure(quick: bool) -> Iterable[Figure]:
    """Every function; `quick`: those with a goal, in fewer rounds."""
    # What is there may be of yesterday's sources.
    subprocess.run(["make", "artefact"], cwd=PROJECT, check=True)
    rounds = QUICK_ROUNDS if quick else ROUNDS
    names = WITH_A_GOAL if quick else tuple(FIRST_USES)
    with TemporaryDirectory() as folder, embedded(translate(), backup=NOBODY) as stack:
        world = World.make(Path(folder), stack)
        for name in names:
            yield from _figures(world, name, rounds)
