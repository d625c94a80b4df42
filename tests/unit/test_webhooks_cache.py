"""The targets that a function keeps for 30 s: one question an account, however many backups and threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.targets import Target
from backup_webhooks.webhooks_cache import MAX_ACCOUNTS, WebhooksCache

PATIENCE_SECONDS = 30


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1_545_325_206.0

    def __call__(self) -> float:
        return self.seconds


class Store:
    """Answers with the account's targets, and remembers who asked."""

    def __init__(self, *targets: Target, before: Callable[[str], None] = lambda account: None) -> None:
        self.targets = list(targets)
        self.questions: list[str] = []
        self._before = before

    def of_account(self, account: str) -> Sequence[Target]:
        self.questions.append(account)
        self._before(account)
        return [target for target in self.targets if target.account == account]


def target(
    url: str = "https://hooks.example.com/",
    account: str = "TEST",
    event: WebhookEvent = WebhookEvent.FAILURE,
    enabled: bool = True,
) -> Target:
    return Target(account, event, url, enabled=enabled)


def failures(cache: WebhooksCache, account: str = "TEST") -> Sequence[Target]:
    return cache.targets(account, WebhookEvent.FAILURE)


def test_an_account_is_asked_for_once_within_30_seconds() -> None:
    store, clock = Store(target()), Clock()
    cache = WebhooksCache(store.of_account, clock)

    for _ in range(30):
        assert failures(cache) == [target()]
        clock.seconds += 0.999

    assert store.questions == ["TEST"]


def test_an_account_is_asked_for_again_after_30_seconds() -> None:
    store, clock = Store(), Clock()
    cache = WebhooksCache(store.of_account, clock)
    assert failures(cache) == []

    store.targets.append(target())
    clock.seconds += 29.9
    assert failures(cache) == []
    clock.seconds += 0.1

    assert failures(cache) == [target()]
    assert store.questions == ["TEST", "TEST"]


def test_the_30_seconds_are_counted_from_the_question_and_not_from_the_last_use() -> None:
    store, clock = Store(target()), Clock()
    cache = WebhooksCache(store.of_account, clock)

    for _ in range(4):
        failures(cache)
        clock.seconds += 15

    assert store.questions == ["TEST", "TEST"]


def test_a_clock_that_was_set_back_keeps_no_answer_longer() -> None:
    store, clock = Store(target()), Clock()
    cache = WebhooksCache(store.of_account, clock)

    failures(cache)
    clock.seconds -= 3600
    failures(cache)

    assert store.questions == ["TEST", "TEST"]


def test_an_account_without_targets_is_remembered_too() -> None:
    store = Store()
    cache = WebhooksCache(store.of_account, Clock())

    assert failures(cache) == failures(cache) == []
    assert store.questions == ["TEST"]


def test_the_events_of_an_account_share_one_question() -> None:
    store = Store(*(target(f"https://{event}.example/", event=event) for event in WebhookEvent))
    cache = WebhooksCache(store.of_account, Clock())

    for event in WebhookEvent:
        assert cache.targets("TEST", event) == [target(f"https://{event}.example/", event=event)]

    assert store.questions == ["TEST"]


def test_each_account_has_a_question_and_targets_of_its_own() -> None:
    store = Store(target(account="A"), target(account="B"))
    cache = WebhooksCache(store.of_account, Clock())

    assert failures(cache, "A") == [target(account="A")]
    assert failures(cache, "B") == [target(account="B")]
    assert store.questions == ["A", "B"]


def test_targets_that_are_switched_off_are_left_out() -> None:
    store = Store(target("https://on.example/"), target("https://off.example/", enabled=False))

    assert failures(WebhooksCache(store.of_account, Clock())) == [target("https://on.example/")]


def test_targets_of_other_events_are_left_out() -> None:
    store = Store(target(event=WebhookEvent.SUCCESS), target(event=WebhookEvent.PARTIAL_SUCCESS))

    assert failures(WebhooksCache(store.of_account, Clock())) == []


def test_threads_that_need_the_same_account_ask_once() -> None:
    threads = 16
    barrier, release = threading.Barrier(threads), threading.Event()
    store = Store(target(), before=lambda account: _wait(release))
    cache = WebhooksCache(store.of_account, Clock())

    def need() -> Sequence[Target]:
        barrier.wait(PATIENCE_SECONDS)
        return failures(cache)

    with ThreadPoolExecutor(threads) as executor:
        answers = [executor.submit(need) for _ in range(threads)]
        # Time for the others to arrive while the first one's question is open.
        release.wait(0.1)
        release.set()

    assert [answer.result() for answer in answers] == [[target()]] * threads
    assert store.questions == ["TEST"]


def test_a_slow_question_holds_up_no_other_account() -> None:
    asked, release = threading.Event(), threading.Event()

    def slow(account: str) -> None:
        if account == "SLOW":
            asked.set()
            _wait(release)

    cache = WebhooksCache(Store(target(account="FAST"), target(account="SLOW"), before=slow).of_account, Clock())

    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(failures, cache, "SLOW")
        _wait(asked)
        assert failures(cache, "FAST") == [target(account="FAST")]
        assert not waiting.done()
        release.set()

    assert waiting.result() == [target(account="SLOW")]


def test_a_failed_question_is_not_kept() -> None:
    failing = [OSError("throttled")]

    def fail_at_first(account: str) -> None:
        if failing:
            raise failing.pop()

    store = Store(target(), before=fail_at_first)
    cache = WebhooksCache(store.of_account, Clock())

    with pytest.raises(OSError, match="throttled"):
        failures(cache)

    assert failures(cache) == [target()]
    assert store.questions == ["TEST", "TEST"]


def test_threads_that_wait_for_a_question_that_fails_are_told_of_its_failure() -> None:
    asked, release = threading.Event(), threading.Event()

    def fail_later(account: str) -> None:
        asked.set()
        _wait(release)
        raise OSError("throttled")

    store = Store(before=fail_later)
    cache = WebhooksCache(store.of_account, Clock())

    with ThreadPoolExecutor(4) as executor:
        answers = [executor.submit(failures, cache) for _ in range(4)]
        _wait(asked)
        release.wait(0.1)
        release.set()

    assert {type(answer.exception()) for answer in answers} == {OSError}


def test_a_question_that_fails_after_a_newer_one_was_answered_does_not_take_that_answer_away() -> None:
    asked, release = threading.Event(), threading.Event()

    def hang_at_first(account: str) -> None:
        if not asked.is_set():
            asked.set()
            _wait(release)
            raise OSError("throttled")

    store, clock = Store(target(), before=hang_at_first), Clock()
    cache = WebhooksCache(store.of_account, clock)

    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(failures, cache)
        _wait(asked)
        clock.seconds += 31
        assert failures(cache) == [target()]
        release.set()
        assert isinstance(first.exception(), OSError)

    assert failures(cache) == [target()]
    assert store.questions == ["TEST", "TEST"]


def test_the_accounts_that_are_kept_are_bounded() -> None:
    store = Store()
    cache = WebhooksCache(store.of_account, Clock())

    for number in range(MAX_ACCOUNTS + 1):
        failures(cache, f"A{number}")
    failures(cache, "A0")

    assert store.questions.count("A0") == 2


def _wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE_SECONDS)
