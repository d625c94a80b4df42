"""`python -m local`: run the stack, or talk to the one that runs."""

from __future__ import annotations

import argparse
import sys

from local import aws_events, deliveries, demo, messages, policies, reports, tokens, webhooks
from local.stack import running

_FASTEST = 86_400


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run its command, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="run the stack with a demo account (make run)")
    run.add_argument("--once", action="store_true", help="end after the sample backups, with 0 if all arrived")
    run.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="where AWS and the receiver listen")
    run.add_argument(
        "--speed", type=_speed, default=1.0, metavar="TIMES", help="run the schedules' clock so many times as fast"
    )
    run.set_defaults(call=lambda options: demo.run(options.once, options.listen, options.speed))

    send = commands.add_parser("send", help="put messages on the running stack's queue")
    send.add_argument("source", help="a file such as events/backup-failed.json, or a message as JSON")
    send.set_defaults(call=_send)

    for family in (webhooks, deliveries, policies, reports, tokens, aws_events):
        family.add_commands(commands)

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


if __name__ == "__main__":
    sys.exit(main())
