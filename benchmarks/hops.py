"""Counts the modules and functions of the service that a record passes before its POST: how long a way is to read.

`python -m benchmarks.hops`, without a time limit and apart from `make bench`: it counts, and measures nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import CodeType, FrameType
from typing import Any

from local.receiver import Receiver
from local.stack import Stack, embedded
from local.template import PROJECT, translate
from tests.support.api import Client
from tests.support.messages import Context, finished, sqs_event

_FOLDERS = (f"{PROJECT}/layers/shared/backup_webhooks/", f"{PROJECT}/functions/")
_RECORDS = {"_keep", "record"}
_ACCOUNT = "HOPS"


@dataclass
class Way:
    """The code that was entered until the POST began, apart from the records that are written at the same time."""

    codes: set[CodeType] = field(default_factory=set)
    posted: bool = False

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Note the function that is entered."""
        if event != "call" or self.posted:
            return
        code = frame.f_code
        if code.co_name == "urlopen" and "urllib3/poolmanager" in code.co_filename:
            self.posted = True
        elif code.co_filename.startswith(_FOLDERS) and code.co_name != "<module>" and not _writes_records(frame):
            self.codes.add(code)

    def modules(self) -> set[str]:
        """Return the modules, by path."""
        return {code.co_filename.split("backup_webhooks/")[-1].split("functions/")[-1] for code in self.codes}


def _writes_records(frame: FrameType | None) -> bool:
    """Return whether the frame belongs to a thread that keeps or records the event: the POST does not wait for it."""
    while frame:
        if frame.f_code.co_name in _RECORDS and frame.f_code.co_filename.startswith(_FOLDERS):
            return True
        frame = frame.f_back
    return False


@contextmanager
def followed() -> Iterator[Way]:
    """Follow all that is called within."""
    way = Way()
    threading.setprofile_all_threads(way.profile)
    sys.setprofile(way.profile)
    try:
        yield way
    finally:
        sys.setprofile(None)
        threading.setprofile_all_threads(None)


def handler_of(stack: Stack, function: str) -> Callable[[dict[str, Any]], Any]:
    """Return the function's handler in its own environment."""
    name = f"{function.title().replace('_', '')}Function"
    os.environ.update(stack.functions()[name].environment | stack.aws_environment())
    app = importlib.import_module(f"functions.{function}.app")
    return lambda event: app.lambda_handler(event, Context(function_name=name))


def say(title: str, *ways: Way) -> None:
    """Print the figures, and the modules."""
    codes = set[CodeType]().union(*(way.codes for way in ways))
    modules = set[str]().union(*(way.modules() for way in ways))
    print(f"{title}: {len(modules)} modules, {len(codes)} functions")
    print("   " + " ".join(sorted(module.removesuffix(".py") for module in modules)))


def main() -> None:
    """Follow a failed backup, a missed one, and a request that sets a target."""
    os.environ |= {"POWERTOOLS_LOG_LEVEL": "ERROR", "POWERTOOLS_METRICS_DISABLED": "true"}
    with embedded(translate()) as stack, Receiver() as receiver:
        api = handler_of(stack, "webhooks_api")
        client = Client(lambda event, context: api(event), _ACCOUNT)
        path = f"/v2/webhooks/{_ACCOUNT}"

        def put(event: str) -> Way:
            body = {"targetUris": [{"targetUri": receiver.url}]}
            with followed() as way:
                answer = client.request(
                    "PUT", f"{path}/{event}/configuration", body, {"content-type": "application/json"}
                )
            assert answer.status == 204, answer  # noqa: PLR2004
            return way

        put("Backup.Failure")
        say("a target that is set", put("Backup.Missing"))

        notifier = handler_of(stack, "notifier")
        notifier(sqs_event(finished(_ACCOUNT)))
        with followed() as way:
            notifier(sqs_event(finished(_ACCOUNT)))
        say("a failed backup, from record to POST", way)

        tick = handler_of(stack, "missed_backups")
        sqs = stack.client("sqs")
        queue = stack.outputs["BackupEventsQueueUrl"]
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        policy = {
            "type": "ServerPolicyChanged",
            "serverPolicyId": "hops",
            "accountPolicyId": "hops",
            "name": "Hourly",
            "clcAccountAlias": _ACCOUNT,
            "serverId": "SERVER",
            "storageRegion": "US WEST",
            "accountPolicyStatus": "ACTIVE",
            "serverPolicyStatus": "ACTIVE",
            "changedDate": (now - timedelta(hours=4)).isoformat(),
            "backupSchedule": f"0 {(now - timedelta(hours=2)).minute} {(now - timedelta(hours=2)).hour} * * ?",
        }
        notifier(sqs_event(json.dumps(policy)))
        for minute in range(12):
            with followed() as ticked:
                answer = tick({"time": (now + timedelta(minutes=minute)).isoformat()})
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            for message in messages:
                with followed() as way:
                    notifier(sqs_event(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                if way.posted:
                    say("a missed backup, from tick to POST", ticked, way)
                    return
            assert answer["sent"] == 0 or messages
        raise AssertionError("no miss was posted")


if __name__ == "__main__":
    main()
