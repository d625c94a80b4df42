"""`python -m local policy`: server policies of the running stack."""

from __future__ import annotations

import argparse
import sys
import uuid
from typing import Any

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import ServerPolicyChanged, encode_message
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local import messages
from local.stack import running
from local.text import minute, print_table


def add_commands(commands: Any) -> None:
    """Add the commands `policy put|list`."""
    verbs = commands.add_parser("policy", help="server policies of the running stack").add_subparsers(
        required=True, metavar="verb"
    )
    put = verbs.add_parser("put", help="send a server's backup schedule, as the backup service would")
    put.add_argument("account")
    put.add_argument("server")
    when = put.add_mutually_exclusive_group(required=True)
    when.add_argument("--schedule", help="a Quartz cron expression, such as '0 0 1 * * ?'")
    when.add_argument("--interval-hours", type=int, help="hours from the end of a backup to the next")
    put.add_argument("--timezone", default="UTC", help="of the schedule (IANA)")
    put.add_argument("--inactive", action="store_true")
    put.set_defaults(call=_put)
    listing = verbs.add_parser("list", help="an account's server policies, and the next backup of each")
    listing.add_argument("account")
    listing.set_defaults(call=_list)


def _put(options: argparse.Namespace) -> int:
    """Send the message of a changed policy, or print the reason why the service would refuse its schedule."""
    message = ServerPolicyChanged(
        server_policy_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, options.server)),
        account_policy_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, options.account)),
        name="Set by hand",
        clc_account_alias=options.account,
        server_id=options.server,
        storage_region="US WEST",
        account_policy_status="ACTIVE",
        server_policy_status="INACTIVE" if options.inactive else "ACTIVE",
        changed_date=Timestamp.of(utc_now()),
        backup_schedule=options.schedule,
        backup_interval_hours=options.interval_hours,
        timezone=options.timezone,
    )
    try:
        messages.check(encode_message(message))
    except InvalidMessage as error:
        print(error, file=sys.stderr)
        return 1
    print(f"sent {messages.send(running(), encode_message(message))}")
    return 0


def _list(options: argparse.Namespace) -> int:
    """Print each server policy of the account: state, schedule, last and next backup."""
    stack = running()
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    rows = []
    for tracked in store.of_account(options.account):
        if policy := tracked.policy:
            history = tracked.history
            schedule = policy.backup_schedule or f"{policy.backup_interval_hours} h after the end"
            rows.append(
                (
                    policy.server_id,
                    "active" if policy.schedule else "inactive",
                    f"{schedule} {policy.timezone}",
                    minute(history.last_started_at),
                    history.last_status,
                    minute(tracked.expected_at),
                )
            )
    print_table(("SERVER", "STATE", "SCHEDULE", "LAST STARTED", "LAST STATUS", "NEXT EXPECTED"), rows)
    return 0
