"""A function's cache of the accounts' targets: read once, and at most 30 s old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from copy import replace

from backup_webhooks.events.messages import Event
from backup_webhooks.targets.store import AccountTargets
from backup_webhooks.targets.target import Target

KEPT_SECONDS = 30.0
# A bound on memory, far above the number of accounts that one function meets in 30 s.
MAX_ACCOUNTS = 1000
# The depth to which an account sees the events of those below it.
MOST_ABOVE = 5


class TargetsCache:
    """Keeps what `load` returns for 30 s, so that a burst of an account's backups reads its targets once.

    Shared by threads: while one of them reads an account's targets, the others that need them wait for its answer. A
    failed read is not kept. `clock` returns epoch seconds.
    """

    def __init__(self, load: Callable[[str], AccountTargets], clock: Callable[[], float] = time.time) -> None:
        self._load = load
        self.clock = clock
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Future[AccountTargets]]] = {}

    def wanting(self, event: Event) -> Sequence[Target]:
        """Return the targets that want the event: its account's own, then the recursive ones of the accounts above."""
        accounts = self._upwards(event.account_alias)
        return [target for account in accounts for target in account.targets if target.wants(event)]

    def find(self, account: str, target_id: str, not_before: float) -> Target | None:
        """Return the target, on or off, as it was at `not_before` (epoch seconds) or later; None if there is none."""
        return self._of_account(account, not_before).find(target_id)

    def renew(self, target: Target, began: float) -> None:
        """Replace the cached target, unless it was read after `began` (epoch seconds), when the write to it began."""
        with self._lock:
            read_at, answer = self._answers.get(target.account, (0.0, None))
            if answer is None or read_at > began or not answer.done() or answer.exception():
                return
            renewed: Future[AccountTargets] = Future()
            known = answer.result()
            targets = [target if one.target_id == target.target_id else one for one in known.targets]
            renewed.set_result(replace(known, targets=targets))
            self._answers[target.account] = read_at, renewed

    def _upwards(self, account: str) -> Iterator[AccountTargets]:
        """Yield the account, its parent, and so on; no account twice, whatever the messages say."""
        alias: str | None = account
        seen: set[str] = set()
        while alias is not None and alias not in seen and len(seen) <= MOST_ABOVE:
            seen.add(alias)
            yield (found := self._of_account(alias))
            alias = found.parent

    def _of_account(self, account: str, not_before: float = 0.0) -> AccountTargets:
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
                answer.set_result(self._load(account))
            except Exception as error:
                with self._lock:
                    if self._answers.get(account) == (now, answer):
                        del self._answers[account]
                answer.set_exception(error)
        return answer.result()
