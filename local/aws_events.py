"""`python -m local aws-backup`: gives an event of AWS Backup to the running stack's function, as EventBridge would."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from local.stack import Stack, log_file, running
from local.template import PROJECT
from local.worker import FunctionError, Worker

FUNCTION = "AwsBackupFunction"
# AWS's example number, which the files in events/ have.
AWS_ACCOUNT = "111122223333"


def add_commands(commands: Any) -> None:
    """Add `aws-backup FILE`."""
    event = commands.add_parser("aws-backup", help="give an event of AWS Backup to the running stack's function")
    event.add_argument("file", type=Path, help="such as events/aws-backup-completed.json")
    event.set_defaults(call=_invoke)


def map_account(stack: Stack, alias: str) -> None:
    """Map the examples' AWS account to the account, as docs/sources.md does with the AWS CLI."""
    stack.client("dynamodb").put_item(
        TableName=stack.outputs["SourcesTableName"],
        Item={"collection": {"S": "aws-backup/accounts"}, "entry": {"S": AWS_ACCOUNT}, "alias": {"S": alias}},
    )


def _invoke(options: argparse.Namespace) -> int:
    try:
        event = json.loads(options.file.read_text())
    except (OSError, ValueError) as error:
        print(f"aws-backup: {error}. Allowed: a JSON file", file=sys.stderr)
        return 1
    stack = running()
    log = log_file(FUNCTION)
    worker = Worker(stack.functions()[FUNCTION], PROJECT / "functions" / "aws_backup", stack, log)
    try:
        print(json.dumps(worker.invoke(event)))
    except FunctionError as error:
        print(f"aws-backup: {error}. The log: {log}", file=sys.stderr)
        return 1
    finally:
        worker.close()
    return 0
