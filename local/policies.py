"""`python -m local policy`: server policies of the running stack."""

from __future__ import annotations

import argparse
import sys
import uuid

from backup_webhooks.messages import InvalidMessage, ServerPolicyChanged, encode_message, parse_message
from backup_webhooks.moments import Moment, utc_now
from backup_webhooks.server_policies import ServerPolicy
from backup_webhooks.stores.server_policies import ServerPoliciesStore

from local import messages
from local.stack import running


def put(options: argparse.Namespace) -> int:
    """Send the message of a changed policy; a schedule that would be refused is refused here, with the reason."""
    message = ServerPolicyChanged(
        server_policy_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, options.server)),
        account_policy_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, options.account)),
        name="Set by hand",
        clc_account_alias=options.account,
        server_id=options.server,
        storage_region="US WEST",
        account_policy_status="ACTIVE",
        server_policy_status="INACTIVE" if options.inactive else "ACTIVE",
        changed_date=Moment.of(utc_now()),
        backup_schedule=options.schedule,
        backup_interval_hours=options.interval_hours,
        timezone=options.timezone,
    )
    try:
        parsed = parse_message(encode_message(message))
        if isinstance(parsed, ServerPolicyChanged):
            ServerPolicy.of(parsed)
    except InvalidMessage as error:
        print(error, file=sys.stderr)
        return 1
    print(f"sent {messages.send(running(), encode_message(message))}")
    return 0


def list_account(options: argparse.Namespace) -> int:
    """Print each server policy of the account: state, schedule, last and next backup."""
    stack = running()
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    rows = [("SERVER", "STATE", "SCHEDULE", "LAST STARTED", "LAST STATUS", "NEXT EXPECTED")]
    for tracked in store.of_account(options.account):
        if policy := tracked.policy:
            history = tracked.history
            schedule = policy.backup_schedule or f"{policy.backup_interval_hours} h after the end"
            rows.append(
                (
                    policy.server_id,
                    "active" if policy.schedule else "inactive",
                    f"{schedule} {policy.timezone}",
                    f"{history.last_started_at:%Y-%m-%d %H:%M} UTC" if history.last_started_at else "-",
                    history.last_status or "-",
                    f"{tracked.expected_at:%Y-%m-%d %H:%M} UTC" if tracked.expected_at else "-",
                )
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0
