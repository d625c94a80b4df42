"""What `make run` is made of: the queue's poller and the minute's schedule, with a clock that runs fast."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.messages import WebhookEvent

from local import messages
from local.__main__ import main
from local.clock import LocalClock
from local.demo import functions_running
from local.receiver import Post, Receiver
from local.servers import DemoServer
from local.stack import Stack
from local.template import Template
from tests.integration.conftest import Account

PATIENCE_SECONDS = 60


def test_on_a_fast_clock_a_backup_that_never_starts_is_told_of(
    account: Account, stack: Stack, template: Template
) -> None:
    arrived = threading.Event()
    clock = LocalClock(speed=3600)
    silent = DemoServer("SILENT", schedule="0 0 * * * ?").changed(clock()) | {"clcAccountAlias": account.alias}

    def on_post(post: Post) -> None:
        arrived.set()

    with Receiver(on_post) as receiver:
        account.set_target(WebhookEvent.MISSING, receiver.url)
        messages.send(stack, json.dumps(silent))
        with functions_running(template, stack, clock):
            assert arrived.wait(PATIENCE_SECONDS)

    assert json.loads(receiver.posts[0].body)["text"].startswith("SILENT missed a backup expected at ")


def test_the_local_clock_runs_as_many_times_as_fast_as_it_is_told() -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)

    assert LocalClock(10, started=hour_ago)() - hour_ago >= timedelta(hours=10)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["webhook", "set", "TEST", "Backup.Failure", "ftp://example.com"], "targetUri: must begin with https://"),
        (["policy", "put", "TEST", "S", "--schedule", "0 0 25 * * ?"], "$.backupSchedule: hours: '25'"),
        (["policy", "put", "TEST", "S", "--schedule", "0 0 0 30 2 ?"], "$.backupSchedule: never fires"),
        (["policy", "put", "TEST", "S", "--interval-hours", "6", "--timezone", "Mars"], "$.timezone: must be an IANA"),
        (["policy", "put", "TEST", "S", "--interval-hours", "0"], "$.backupIntervalHours: "),
        (["send", "events/there-is-none.json"], "send: "),
    ],
)
def test_the_command_line_names_what_it_cannot_use(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert error in capsys.readouterr().err
