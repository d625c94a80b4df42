"""`python -m local`: run the stack, or talk to the one that runs."""

from __future__ import annotations

import argparse
import sys

from backup_webhooks.errors import InvalidTarget
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.targets import Target, parse_target_url

from local import demo, messages, policies
from local.stack import running

_FASTEST = 86_400


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do what it says; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="run the stack with a demo account (make run)")
    run.add_argument("--once", action="store_true", help="end after the sample backups, with 0 if all arrived")
    run.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="where AWS and the receiver listen")
    run.add_argument(
        "--speed", type=_speed, default=1.0, metavar="TIMES", help="how much faster the schedules' clock runs"
    )
    run.set_defaults(call=lambda options: demo.run(options.once, options.listen, options.speed))

    send = commands.add_parser("send", help="put messages on the running stack's queue")
    send.add_argument("source", help="a file such as events/backup-failed.json, or a message as JSON")
    send.set_defaults(call=_send)

    webhook = commands.add_parser("webhook", help="webhooks of the running stack")
    verbs = webhook.add_subparsers(required=True, metavar="verb")
    put = verbs.add_parser("set", help="set a target URL for an event of an account")
    put.add_argument("account")
    put.add_argument("event", choices=[str(event) for event in WebhookEvent])
    put.add_argument("url")
    put.set_defaults(call=_set_webhook)

    policy = commands.add_parser("policy", help="server policies of the running stack")
    verbs = policy.add_subparsers(required=True, metavar="verb")
    put = verbs.add_parser("put", help="set a server's backup schedule, as the backup service would tell of it")
    put.add_argument("account")
    put.add_argument("server")
    when = put.add_mutually_exclusive_group(required=True)
    when.add_argument("--schedule", help="a Quartz cron expression, such as '0 0 1 * * ?'")
    when.add_argument("--interval-hours", type=int, help="hours from the end of a backup to the next")
    put.add_argument("--timezone", default="UTC", help="of the schedule (IANA)")
    put.add_argument("--inactive", action="store_true")
    put.set_defaults(call=policies.put)
    listing = verbs.add_parser("list", help="an account's server policies, and the next backup of each")
    listing.add_argument("account")
    listing.set_defaults(call=policies.list_account)

    options = parser.parse_args(arguments)
    return int(options.call(options))


def _speed(text: str) -> float:
    speed = float(text)
    if not 1 <= speed <= _FASTEST:
        raise argparse.ArgumentTypeError(f"from 1 to {_FASTEST:,} is allowed")
    return speed


def _send(options: argparse.Namespace) -> int:
    try:
        bodies = messages.read(options.source)
    except OSError as error:
        print(f"send: {error}. Allowed: a file, or a message as JSON", file=sys.stderr)
        return 1
    stack = running()
    for body in bodies:
        print(f"sent {messages.send(stack, body)}")
    return 0


def _set_webhook(options: argparse.Namespace) -> int:
    try:
        parse_target_url(options.url)
    except InvalidTarget as error:
        print(error, file=sys.stderr)
        return 1
    stack = running()
    store = WebhooksStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])
    store.save(Target(options.account, WebhookEvent(options.event), options.url))
    print(f"{options.event} of {options.account} goes to {options.url} (within 30 s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
