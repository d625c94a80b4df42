"""`python -m local send`: checks messages, puts them on the running stack's queue, and says what became of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from backup_webhooks.events.timestamps import utc_now

from local import messages
from local.messages import NotSendable
from local.outcomes import Sent, print_outcomes
from local.stack import log_file, running

_WITHIN_SECONDS = 30.0


def add_commands(commands: Any) -> None:
    """Add the command `send`."""
    send = commands.add_parser("send", help="put messages on the running stack's queue, and say what became of them")
    send.add_argument("source", help="a file such as events/backup-failed.json, or `-`, or a message as JSON")
    send.add_argument(
        "--within", type=float, default=_WITHIN_SECONDS, metavar="SECONDS", help="how long to wait (default: 30)"
    )
    send.set_defaults(call=_send)


def _send(options: argparse.Namespace) -> int:
    try:
        text = _text(options.source)
        bodies = messages.bodies_in(text)
        parsed = messages.check_all(bodies)
    except (OSError, UnicodeError) as error:
        print(f"send: {error}. Allowed: a file, `-`, or a message as JSON", file=sys.stderr)
        return 1
    except NotSendable as error:
        print(f"send: {error}. Nothing was sent.", file=sys.stderr)
        return 1
    stack = running()
    if bodies != [text]:
        its = messages.counted(parsed)
        print(
            f"This is a Lambda event for `sam local invoke NotifierFunction`; its messages are sent: {its}", flush=True
        )
    ends = log_file("BackupEventsQueue")
    read_from = ends.stat().st_size if ends.exists() else 0
    sent = [Sent(message, utc_now(), messages.send(stack, body)) for message, body in zip(parsed, bodies, strict=True)]
    return 0 if print_outcomes(stack, sent, ends, read_from, options.within) else 1


def _text(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    return source if source.lstrip().startswith(("{", "[")) else Path(source).read_text()
