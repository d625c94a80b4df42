"""`make bench`: what must be quick and cheap, against its floor in the same run. QUICK=1: a first idea of it."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.figures import Figure, table

# In the order in which they are run: what needs nothing but this process first.
BENCHMARKS = (
    "quartz_cron",
    "init",
    "notify",
    "memory",
    "latency",
    "isolation",
    "missed_idle",
    "missed_storm",
    "report",
    "ping",
    "page",
    "large_account",
    "cost",
)
# What takes long however little is asked of it.
NOT_QUICK = ("memory", "isolation", "missed_idle", "report", "ping", "page", "large_account", "cost")


def main() -> int:
    """Run those that are named, or all; a JSON line a figure as they come, then the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and none of " + ", ".join(NOT_QUICK))
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    names = options.names or [name for name in BENCHMARKS if not (options.quick and name in NOT_QUICK)]
    figures: list[Figure] = []
    for name in names:
        for figure in importlib.import_module(f"benchmarks.{name}").measure(options.quick):
            print(figure.line(), flush=True)
            figures.append(figure)
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
