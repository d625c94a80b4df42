"""Executors without threads, so that a seed decides the order of all calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InThisThread(ThreadPoolExecutor):
    """Runs a call at once. The end of the process, which is not an error, is raised to the caller of `submit`."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **options))
        except Exception as error:
            done.set_exception(error)
        return done


class SoonerOrLater(InThisThread):
    """Runs a call at once, or only when its result is awaited, as threads may. `chance` decides."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        if self._chance.random() < 0.5:
            return super().submit(call, *args, **options)
        return _Later(lambda: call(*args, **options))


class _Later(Future[Any]):
    """A future that `concurrent.futures.wait` cannot use, as that reads private attributes."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call: Callable[[], Any] | None = call

    def _run(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            try:
                self.set_result(call())
            except Exception as error:
                self.set_exception(error)
            except BaseException as end:
                # The process has ended: for this caller, and for each that awaits the result while it unwinds.
                self.set_exception(end)
                raise

    def result(self, timeout: float | None = None) -> Any:
        self._run()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._run()
        return super().exception(timeout)
