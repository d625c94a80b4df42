"""The scripts of the runbook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target

from local.stack import Stack
from local.targets import save_target
from tests.integration.conftest import Account
from tests.support.snippets import snippets


def test_missing_targets_are_restored_and_newer_ones_stay(account: Account, stack: Stack, tmp_path: Path) -> None:
    dynamodb, live = stack.client("dynamodb"), stack.outputs["WebhooksTableName"]
    described = dynamodb.describe_table(TableName=live)["Table"]
    of_key = {key["AttributeName"] for key in described["KeySchema"]}
    name = f"restored-{account.alias}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=described["KeySchema"],
        AttributeDefinitions=[one for one in described["AttributeDefinitions"] if one["AttributeName"] in of_key],
        BillingMode="PAY_PER_REQUEST",
    )
    restored = TargetsStore(dynamodb, name)
    for path in ("gone", "changed"):
        save_target(restored, Target(account.alias, [EventType.FAILURE], f"https://example.com/{path}"))
    newer = account.set_target(EventType.FAILURE, "https://example.com/changed", headers={"x-team": "night"})
    script = tmp_path / "restore.py"
    script.write_text(snippets("runbook.md")["restore.py"])

    done = subprocess.run(
        [sys.executable, script, name, live],
        env=stack.aws_environment() | {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.meta.endpoint_url},
        capture_output=True,
        text=True,
        check=True,
    )
    dynamodb.delete_table(TableName=name)

    there = {target.url: target for target in account.targets.load(account.alias).targets}
    assert set(there) == {"https://example.com/gone", "https://example.com/changed"}
    assert there["https://example.com/changed"].headers == newer.headers
    assert done.stdout.endswith(" put back\n")
