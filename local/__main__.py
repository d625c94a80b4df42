"""`python -m local`: run the stack, or talk to the one that runs."""

from __future__ import annotations

import argparse
import sys

from backup_webhooks.messages import WebhookEvent
from backup_webhooks.stores.webhooks import WebhooksStore
from backup_webhooks.targets import InvalidTarget, Target, parse_target_url

from local import demo, messages
from local.stack import running


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do what it says; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="run the stack with a demo account (make run)")
    run.add_argument("--once", action="store_true", help="end after the sample backups, with 0 if all arrived")
    run.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="where AWS and the receiver listen")
    run.set_defaults(call=lambda options: demo.run(options.once, options.listen))

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

    options = parser.parse_args(arguments)
    return int(options.call(options))


def _send(options: argparse.Namespace) -> int:
    stack = running()
    try:
        bodies = messages.read(options.source)
    except OSError as error:
        print(f"send: {error}. Allowed: a file, or a message as JSON", file=sys.stderr)
        return 1
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
    store.put(Target(options.account, WebhookEvent(options.event), options.url))
    print(f"{options.event} of {options.account} goes to {options.url} (within 30 s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
