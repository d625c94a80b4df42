"""`python -m local`: run the stack, or talk to the one that runs."""

from __future__ import annotations

import sys
from importlib import import_module

from local.ending import until_signal
from local.settings import InvalidSetting, parse_settings


def main(arguments: list[str]) -> int:
    """Run the command of the command line, and return the exit status."""
    # Not at the top: these imports take seconds on a slow machine, and a signal must end the process meanwhile.
    if arguments[:1] != ["run"] or set(arguments) & {"-h", "--help"}:
        return int(import_module("local.commands").main(arguments))
    try:
        settings = parse_settings(arguments[1:])
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 2
    print("Starting: Python modules …", flush=True)
    return int(import_module("local.demo").run(settings))


def _status_after_signal(arguments: list[str]) -> int | None:
    """Return the exit status after Ctrl-C: 0 where that is how the command ends, None if it is an interruption."""
    try:
        return 0 if arguments[:1] == ["run"] and not parse_settings(arguments[1:]).once else None
    except InvalidSetting:
        return None


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(until_signal(lambda: main(words), _status_after_signal(words)))
