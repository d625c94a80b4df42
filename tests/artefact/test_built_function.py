"""The output of `sam build` under AWS's runtime interface emulator: the layers hold all that the functions need."""

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
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from backup_webhooks.events.messages import EventType, encode_message, parse_message
from backup_webhooks.history.backup import Backup
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target
from standardwebhooks import Webhook

from local.mailbox import Mailbox
from local.receiver import Receiver
from local.stack import Stack
from local.targets import save_target
from local.template import PROJECT
from tests.support.messages import sqs_event
from tests.support.policies import LONG_AGO, changed

BUILD = PROJECT / ".aws-sam" / "x86_64"
(SITE_PACKAGES,) = [Path(path) for path in sys.path if path.endswith("site-packages")][:1]

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the emulator and the build are x86_64 Linux"
)


@pytest.fixture(scope="module")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AWS's runtime client alone, as in the base image, without the rest of the development environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("awslambdaric", "snapshot_restore_py", "simplejson"):
        if (SITE_PACKAGES / name).exists():
            shutil.copytree(SITE_PACKAGES / name, folder / name)
    for extension in SITE_PACKAGES.glob("runtime_client*.so"):
        shutil.copy(extension, folder)
    return folder


@contextmanager
def emulated(name: str, stack: Stack, runtime_client: Path) -> Iterator[str]:
    """Run a built function in the emulator, without our site-packages. Yield the URL to invoke it."""
    (emulator,) = (PROJECT / "tools/sam/.venv").glob("lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64")
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as free_api:
        port, api_port = free.getsockname()[1], free_api.getsockname()[1]
    layers = [BUILD / layer / "python" for layer in ("DependenciesLayer", "SharedLayer")]
    deployed = stack.functions()[name]
    environment = (
        dict(deployed.environment)
        | stack.aws_environment()
        | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, [BUILD / name, *layers, runtime_client])),
            # Without the machine's time zones, as on Lambda: the layer has its own.
            "PYTHONTZPATH": "",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(deployed.timeout),
            "AWS_REGION": "us-east-1",
        }
    )
    command = [
        str(emulator),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api_port}"),
        *(sys._base_executable, "-m", "awslambdaric", "app.lambda_handler"),  # type: ignore[attr-defined]
    ]
    process = subprocess.Popen(command, cwd=BUILD / name, env=environment)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def notifier_url(stack: Stack, runtime_client: Path) -> Iterator[str]:
    with emulated("NotifierFunction", stack, runtime_client) as url:
        yield url


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
    store = TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    event = json.loads((PROJECT / "events/backup-failed.json").read_text())
    with Receiver() as receiver:
        save_target(store, Target("TEST", [EventType.FAILURE], receiver.url))

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


def test_the_built_redeliverer_makes_the_next_attempt_signed(stack: Stack, runtime_client: Path) -> None:
    store = TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    event = json.loads((PROJECT / "events/redelivery.json").read_text())
    order = json.loads(event["Records"][0]["body"])
    with Receiver() as receiver, emulated("RedelivererFunction", stack, runtime_client) as url:
        target = Target("TEST", [EventType.FAILURE], f"{receiver.url}/redelivered")
        secret = save_target(store, target)
        order["delivery"]["targetId"] = target.target_id
        event["Records"][0]["body"] = json.dumps(order)

        response = invoke(url, event)

    assert response == {"batchItemFailures": []}
    (post,) = receiver.posts
    assert secret
    Webhook(secret.value).verify(post.body.decode(), dict(post.headers))


def test_the_built_functions_report_a_missed_backup(stack: Stack, runtime_client: Path, notifier_url: str) -> None:
    sqs, queue = stack.client("sqs"), stack.outputs["BackupEventsQueueUrl"]
    table = stack.outputs["ServerPoliciesTableName"]
    vouches = SeenHeartbeat(datetime(2018, 12, 20, 18, 5, tzinfo=UTC), datetime(2018, 12, 20, 18, 6, tzinfo=UTC))
    WatermarkStore(stack.client("dynamodb"), table).save_tick(
        Watermark(seen=(vouches,), ran_at=vouches.seen_at, resumed_at=LONG_AGO)
    )
    policy = {"backup_schedule": "0 0 18 * * ?", "timezone": "Europe/Berlin"}
    invoke(notifier_url, sqs_event(encode_message(changed("12-20 09:00", **policy))))

    with emulated("MissedBackupsFunction", stack, runtime_client) as url:
        assert invoke(url, json.loads((PROJECT / "events/tick.json").read_text())) == {"due": 1, "sent": 1}

    sent = [
        json.loads(message["Body"])
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [body.get("expectedDate") for body in sent if body["type"] == "BackupMissed"] == ["2018-12-20T17:00:00.000Z"]


def test_the_built_api_serves_the_page_and_an_accounts_webhooks(stack: Stack, runtime_client: Path) -> None:
    store = TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    save_target(store, Target("TEST", [EventType.SUCCESS], "https://hooks.example/built"))
    with emulated("WebhooksApiFunction", stack, runtime_client) as url:
        page = invoke(url, json.loads((PROJECT / "events/page.json").read_text()))
        webhooks = invoke(url, json.loads((PROJECT / "events/api-webhooks.json").read_text()))

    assert (page["statusCode"], page["headers"]["content-type"]) == (200, "text/html; charset=utf-8")
    assert page["body"] == (PROJECT / "functions/webhooks_api/page/index.html").read_text()
    assert webhooks["statusCode"] == 200
    assert "https://hooks.example/built" in webhooks["body"]


def test_the_built_ping_function_refuses_an_unknown_key(stack: Stack, runtime_client: Path) -> None:
    with emulated("PingFunction", stack, runtime_client) as url:
        answer = invoke(url, json.loads((PROJECT / "events/ping.json").read_text()))

    assert (answer["statusCode"], answer["body"]) == (404, "No such key.\n")


def test_the_built_functions_send_email(stack: Stack, runtime_client: Path, every_mail: Mailbox) -> None:
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    settings = ReportSettingsStore(dynamodb, outputs["WebhooksTableName"], lambda: datetime(2026, 11, 25, tzinfo=UTC))
    recipient = Recipient("artefact@example.com", on_failure=True)
    settings.save("TEST", ReportSettings([recipient], timezone="Europe/Lisbon"))
    WatermarkStore(dynamodb, outputs["ServerPoliciesTableName"]).record_read(datetime(2026, 11, 25, 7, 4, tzinfo=UTC))
    event = json.loads((PROJECT / "events/email-notice.json").read_text())
    message = parse_message(event["Records"][0]["body"])
    BackupsStore(dynamodb, outputs["BackupsTableName"]).keep(Backup.of(message, datetime.now(UTC)))  # type: ignore[arg-type]

    with emulated("EmailNoticesFunction", stack, runtime_client) as url:
        assert invoke(url, event) == {"batchItemFailures": []}
    with emulated("DailyReportFunction", stack, runtime_client) as url:
        assert invoke(url, json.loads((PROJECT / "events/report-tick.json").read_text()))["due"] >= 1
        report = json.loads((PROJECT / "events/account-report.json").read_text())
        assert invoke(url, report) == {"batchItemFailures": []}

    notice, report = every_mail.of(recipient.address)
    assert notice.subject == "Backup failed: testServerId20190102013933 (TEST)"
    assert "The 24 hours to Wed 25 Nov 2026, 07:00 (Europe/Lisbon)" in report.text
    settings.save("TEST", ReportSettings())
