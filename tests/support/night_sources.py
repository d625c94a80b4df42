"""The output of each source for a night's backups: the backup service's messages, AWS Backup's events, pings."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.support.aws_backup import job_event, plan_answer, rule
from tests.support.night import FAILED, PARTIAL, SUCCESS, Backup, Server

START_WINDOW = timedelta(hours=1)
_JOB_ENDS = {SUCCESS: "COMPLETED", PARTIAL: "COMPLETED", FAILED: "FAILED"}
_PING_ENDS = {SUCCESS: ("", "/0"), PARTIAL: ("/partial",), FAILED: ("/fail", "/7")}

type Said = tuple[datetime, str]
type Event = tuple[datetime, dict[str, Any]]


def quartz(timestamp: datetime) -> str:
    """Return a daily schedule at that time."""
    return f"0 {timestamp.minute} {timestamp.hour} * * ?"


def policy(server: Server, account: str, changed_at: datetime) -> str:
    """Return the message of the server's daily policy, which is inactive if the server is switched off."""
    return json.dumps(
        _common(server)
        | {
            "type": "ServerPolicyChanged",
            "name": "Nightly",
            "clcAccountAlias": account,
            "accountPolicyStatus": "ACTIVE",
            "serverPolicyStatus": "ACTIVE" if server.kind.active else "INACTIVE",
            "changedDate": changed_at.isoformat(),
            "backupSchedule": quartz(server.tonight.scheduled_at),
        }
    )


def messages(server: Server, account: str, backup: Backup) -> Iterator[Said]:
    """Yield the backup service's messages of a backup, each with its sending time."""
    if backup.started_at is None:
        return
    started = _common(server) | {
        "type": "BackupStarted",
        "accountAlias": account,
        "accountPolicyName": "Nightly",
        "backupStartedDate": backup.started_at.isoformat(),
    }
    yield backup.started_at, json.dumps(started)
    if backup.finished_at is None:
        return
    finished = started | {
        "type": "BackupFinished",
        "restorePointId": backup.restore_point,
        "restorePointCreationStatus": backup.status,
        "backupFinishedDate": backup.finished_at.isoformat(),
    }
    yield backup.finished_at, json.dumps(finished)


def _common(server: Server) -> dict[str, Any]:
    return {
        "serverId": server.server_id,
        "serverPolicyId": str(uuid.uuid5(uuid.NAMESPACE_DNS, server.tonight.restore_point)),
        "accountPolicyId": "6c8a4b1f-4d68-4d2b-9a1c-1a7a3a2a8d22",
        "storageRegion": "US WEST",
    }


def plan(scheduled_at: datetime) -> dict[str, Any]:
    """Return AWS Backup's plan with one rule that fires daily at that time."""
    daily = f"cron({scheduled_at.minute} {scheduled_at.hour} ? * * *)"
    return plan_answer(rule(daily, StartWindowMinutes=START_WINDOW // timedelta(minutes=1)))


def job_events(server: Server, backup: Backup, chance: random.Random) -> Iterator[Event]:
    """Yield AWS Backup's events of a job. A job that never started is reported as expired, or not at all."""
    start_by = backup.scheduled_at + START_WINDOW

    def event(state: str, **detail: Any) -> dict[str, Any]:
        made = job_event(
            state,
            resourceArn=server.server_id,
            backupJobId=backup.restore_point,
            creationDate=_iso(backup.started_at or backup.scheduled_at),
            startBy=_iso(start_by),
            **detail,
        )
        # Each job has its own recovery point.
        return made | {"resources": [f"{one}-{backup.restore_point}" for one in made["resources"]]}

    if backup.started_at is None:
        if chance.random() < 0.5:
            yield start_by, event("EXPIRED", completionDate=_iso(start_by))
        return
    yield backup.started_at, event("RUNNING")
    if backup.finished_at and backup.status:
        issues = {"statusMessage": "VSS failed"} if backup.status == PARTIAL else {}
        ended = event(_JOB_ENDS[backup.status], completionDate=_iso(backup.finished_at), **issues)
        yield backup.finished_at, ended


def _iso(timestamp: datetime) -> str:
    return f"{timestamp:%Y-%m-%dT%H:%M:%SZ}"


def pings(backup: Backup, chance: random.Random) -> Iterator[Said]:
    """Yield the paths that a script calls after its ping URL, each with its time."""
    if backup.started_at is None:
        return
    yield backup.started_at, f"/start?rid={backup.restore_point}"
    if backup.finished_at and backup.status:
        yield backup.finished_at, f"{chance.choice(_PING_ENDS[backup.status])}?rid={backup.restore_point}"
