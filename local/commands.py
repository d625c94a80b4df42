"""The command line of `python -m local`."""

from __future__ import annotations

import argparse

from local import aws_events, deliveries, fill, policies, reports, send, tokens, webhooks


def main(arguments: list[str]) -> int:
    """Parse the command line, run its command, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description="run the stack, or talk to the one that runs")
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="run the stack with a demo account (make run)")
    run.add_argument(
        "settings", nargs="*", metavar="NAME=VALUE", help="ONCE, LISTEN, SPEED, PORT, QUIET: as make run's"
    )
    for family in (send, webhooks, deliveries, policies, fill, reports, tokens, aws_events):
        family.add_commands(commands)
    options = parser.parse_args(arguments)
    return int(options.call(options))
