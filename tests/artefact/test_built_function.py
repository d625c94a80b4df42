"""What `sam build` made, under AWS's own runtime interface emulator: the layers are complete, and enough."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.targets import Target

from local.receiver import Receiver
from local.stack import Stack, embedded
from local.template import PROJECT, translate

BUILD = PROJECT / ".aws-sam" / "x86_64"
(SITE_PACKAGES,) = [Path(path) for path in sys.path if path.endswith("site-packages")][:1]

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the emulator and the build are x86_64 Linux"
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with embedded(translate()) as stack:
        yield stack


@pytest.fixture(scope="module")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AWS's runtime client alone, as the base image holds it: nothing else of the development environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("awslambdaric", "snapshot_restore_py", "simplejson"):
        if (SITE_PACKAGES / name).exists():
            shutil.copytree(SITE_PACKAGES / name, folder / name)
    for extension in SITE_PACKAGES.glob("runtime_client*.so"):
        shutil.copy(extension, folder)
    return folder


@pytest.fixture
def notifier_url(stack: Stack, runtime_client: Path, tmp_path: Path) -> Iterator[str]:
    """The emulator with the built NotifierFunction in it, in an interpreter without site-packages of ours."""
    (emulator,) = (PROJECT / "tools/sam/.venv").glob(
        "lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"
    )
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as free_api:
        port, api_port = free.getsockname()[1], free_api.getsockname()[1]
    layers = [BUILD / layer / "python" for layer in ("DependenciesLayer", "SharedLayer")]
    function = BUILD / "NotifierFunction"
    environment = (
        dict(stack.functions()["NotifierFunction"].environment)
        | stack.aws_environment()
        | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, [function, *layers, runtime_client])),
            "AWS_LAMBDA_FUNCTION_NAME": "NotifierFunction",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_REGION": "us-east-1",
        }
    )
    command = [
        str(emulator),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api_port}"),
        *(sys._base_executable, "-m", "awslambdaric", "app.lambda_handler"),  # type: ignore[attr-defined]
    ]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=function, env=environment, stdout=output, stderr=output)  # noqa: S603
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        process.terminate()
        process.wait()
        sys.stdout.write(log.read_text())


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the emulator did not start")


def invoke(url: str, event: Any) -> Any:
    return urllib3.request("POST", url, body=json.dumps(event).encode(), timeout=60, retries=False).json()


def test_the_built_notifier_posts_a_backups_result(stack: Stack, notifier_url: str) -> None:
    store = WebhooksStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    event = json.loads((PROJECT / "events/backup-failed.json").read_text())
    with Receiver() as receiver:
        store.put(Target("TEST", WebhookEvent.FAILURE, receiver.url))

        response = invoke(notifier_url, event)

    assert response == {"batchItemFailures": []}
    (post,) = receiver.posts
    assert json.loads(post.body)["text"].startswith("Status: FAILED  -  Account: TEST  -  ")


def test_the_built_function_reports_a_message_that_it_cannot_use(notifier_url: str) -> None:
    event = json.loads((PROJECT / "events/malformed.json").read_text())
    good = event["Records"].pop(0)["messageId"]

    response = invoke(notifier_url, event)

    failed = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
    assert failed == [record["messageId"] for record in event["Records"]]
    assert good not in failed
