"""Executors without threads, so that a seed decides all that happens, and in which order."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InThisThread(ThreadPoolExecutor):
    """Runs what is submitted at once. What is no error but the end of the process goes through to who submits."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **options))
        except Exception as error:
            done.set_exception(error)
        return done


class SoonerOrLater(InThisThread):
    """Runs what is submitted at once, or only when somebody waits for it: as threads may, and as `chance` has it."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        if self._chance.random() < 0.5:
            return super().submit(call, *args, **options)
        return _Later(lambda: call(*args, **options))


class _Later(Future[Any]):
    """Not for `concurrent.futures.wait`, which looks inside."""

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

    def result(self, timeout: float | None = None) -> Any:
        self._run()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._run()
        return super().exception(timeout)
