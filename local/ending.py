"""Ctrl-C, SIGTERM and SIGHUP end `python -m local` within two seconds, with one line, whatever it is doing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress

LIMIT_SECONDS = 1.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.1
_actions: list[Callable[[], str | None]] = []


@contextmanager
def at_signal(action: Callable[[], str | None]) -> Iterator[None]:
    """Call the action if a signal ends the process meanwhile. The last line shows the text that it returns, if any."""
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


def until_signal(work: Callable[[], int], status: int | None = None) -> int:
    """Return the work's exit status, or raise its exception; but a signal ends the whole process.

    `status`: the exit status after a signal; None: 128 and the signal's number.
    """
    result: Future[int] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    for number in SIGNALS:
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup
        signal.signal(number, lambda number, _: _end(128 + number if status is None else status))
    # In a thread of its own, so that no signal is raised as an exception in the midst of an import or a clean-up.
    threading.Thread(target=run, name="work", daemon=True).start()
    # The system may give a signal to any thread, and only this one runs its handler: it must not sleep for ever.
    while not result.done():
        wait([result], _LOOK_SECONDS)
    return result.result()


def _end(status: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    watchdog = threading.Timer(LIMIT_SECONDS, _exit, [status, "Stopped."])
    watchdog.daemon = True
    watchdog.start()
    texts = []
    for action in reversed(_actions):
        # An action that fails leaves the others theirs.
        with suppress(Exception):
            texts.append(action())
    sys.stdout.flush()
    watchdog.cancel()
    _exit(status, "Stopped: " + "; ".join(filter(None, texts)) + "." if any(texts) else "Stopped.")


def _exit(status: int, line: str) -> None:
    # A terminal has printed `^C` already. Not by `print`: another thread may be held up in it.
    start = "\n" if os.isatty(sys.__stdout__.fileno()) else ""  # type: ignore[union-attr]
    with suppress(OSError):
        os.write(1, f"{start}{line}\n".encode())
    os._exit(status)
