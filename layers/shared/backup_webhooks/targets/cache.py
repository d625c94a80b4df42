"""A function's cache of the accounts' targets: read once, and at most 30 s old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import Target

KEPT_SECONDS = 30.0
# A bound on memory, far above the number of accounts that one function meets in 30 s.
MAX_ACCOUNTS = 1000


class TargetsCache:
    """Keeps what `of_account` returns for 30 s, so that a burst of an account's backups reads its targets once.

    Shared by threads: while one of them reads an account's targets, the others that need them wait for its answer. A
    failed read is not kept. `clock` returns epoch seconds.
    """

    def __init__(self, of_account: Callable[[str], Sequence[Target]], clock: Callable[[], float] = time.time) -> None:
        self._of_account = of_account
        self.clock = clock
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Future[Sequence[Target]]]] = {}

    def wanting(self, account: str, event_type: EventType) -> Sequence[Target]:
        """Return the account's targets for that event type that are switched on."""
        return [target for target in self._targets(account) if target.event_type is event_type and target.enabled]

    def find(self, account: str, event_type: EventType, target_id: str, not_before: float) -> Target | None:
        """Return the target, on or off, as it was at `not_before` (epoch seconds) or later; None if there is none."""
        return next(
            (
                target
                for target in self._targets(account, not_before)
                if target.event_type is event_type and target.target_id == target_id
            ),
            None,
        )

    def renew(self, target: Target, began: float) -> None:
        """Replace the cached target, unless it was read after `began` (epoch seconds), when the write to it began."""
        with self._lock:
            read_at, answer = self._answers.get(target.account, (0.0, None))
            if answer is None or read_at > began or not answer.done() or answer.exception():
                return
            renewed: Future[Sequence[Target]] = Future()
            renewed.set_result([target if _same(target, known) else known for known in answer.result()])
            self._answers[target.account] = read_at, renewed

    def _targets(self, account: str, not_before: float = 0.0) -> Sequence[Target]:
        with self._lock:
            now = self.clock()
            read_at, answer = self._answers.get(account, (-KEPT_SECONDS, None))
            if answer and 0 <= now - read_at < KEPT_SECONDS and not_before <= read_at:
                read = False
            else:
                read, answer = True, Future()
                if len(self._answers) >= MAX_ACCOUNTS:
                    self._answers.clear()
                self._answers[account] = now, answer
        if read:
            try:
                answer.set_result(self._of_account(account))
            except Exception as error:
                with self._lock:
                    if self._answers.get(account) == (now, answer):
                        del self._answers[account]
                answer.set_exception(error)
        return answer.result()


def _same(one: Target, other: Target) -> bool:
    return (one.event_type, one.target_id) == (other.event_type, other.target_id)
