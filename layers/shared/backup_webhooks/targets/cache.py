"""The accounts' targets as a function keeps them: read once, and at most 30 s old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import Target

KEPT_SECONDS = 30.0
# A bound on memory, far above the accounts that one function meets in 30 s.
MAX_ACCOUNTS = 1000


class TargetsCache:
    """What `of_account` answered, kept for 30 s a function: a burst of an account's backups reads its targets once.

    Shared by threads: while one of them asks for an account, the others that need the same account wait for its
    answer in place of asking too. A failed question is not kept. `clock` answers in seconds.
    """

    def __init__(self, of_account: Callable[[str], Sequence[Target]], clock: Callable[[], float] = time.time) -> None:
        self._of_account = of_account
        self.clock = clock
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Future[Sequence[Target]]]] = {}

    def targets(self, account: str, event_type: EventType) -> Sequence[Target]:
        """The targets that the event is to be posted to now: those of the account that are switched on."""
        return [target for target in self._answer(account) if target.event_type is event_type and target.enabled]

    def find(self, account: str, event_type: EventType, target_id: str, not_before: float) -> Target | None:
        """The target, on or off, as it stood at `not_before` (epoch seconds) or later; None where there is none."""
        return next(
            (
                target
                for target in self._answer(account, not_before)
                if target.event_type is event_type and target.target_id == target_id
            ),
            None,
        )

    def renew(self, target: Target, began: float) -> None:
        """Put the target, as a write that began then has left it, in the place of what was read before."""
        with self._lock:
            asked_at, answer = self._answers.get(target.account, (0.0, None))
            if answer is None or asked_at > began or not answer.done() or answer.exception():
                return
            renewed: Future[Sequence[Target]] = Future()
            renewed.set_result([target if _same(target, known) else known for known in answer.result()])
            self._answers[target.account] = asked_at, renewed

    def _answer(self, account: str, not_before: float = 0.0) -> Sequence[Target]:
        with self._lock:
            now = self.clock()
            asked_at, answer = self._answers.get(account, (-KEPT_SECONDS, None))
            if answer and 0 <= now - asked_at < KEPT_SECONDS and not_before <= asked_at:
                ask = False
            else:
                ask, answer = True, Future()
                if len(self._answers) >= MAX_ACCOUNTS:
                    self._answers.clear()
                self._answers[account] = now, answer
        if ask:
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
