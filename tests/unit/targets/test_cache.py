"""The cache of targets for 30 s: it reads an account once, however many backups and threads need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import Event, EventType
from backup_webhooks.targets.cache import MAX_ACCOUNTS, TargetsCache
from backup_webhooks.targets.store import AccountTargets
from backup_webhooks.targets.target import Target

PATIENCE_SECONDS = 30


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.seconds = 1_545_325_206.0

    def __call__(self) -> float:
        return self.seconds


class Store:
    """Returns the account's targets, and records each read."""

    def __init__(self, *targets: Target, before: Callable[[str], None] = lambda account: None) -> None:
        self.targets = list(targets)
        self.questions: list[str] = []
        self._before = before

    def load(self, account: str) -> AccountTargets:
        self.questions.append(account)
        self._before(account)
        return AccountTargets(account, [target for target in self.targets if target.account == account])


def target(
    url: str = "https://hooks.example.com/",
    account: str = "TEST",
    event: EventType = EventType.FAILURE,
    enabled: bool = True,
) -> Target:
    return Target(account, [event], url, f"{event} {url}", enabled=enabled)


def event_of(account: str, event: EventType) -> Event:
    return example_event(account, event, datetime.now(UTC))


def failures(cache: TargetsCache, account: str = "TEST") -> Sequence[Target]:
    return cache.wanting(event_of(account, EventType.FAILURE))


def found(cache: TargetsCache, wanted: Target, not_before: float = 0.0) -> Target | None:
    return cache.find(wanted.account, wanted.target_id, not_before)


def test_an_account_is_asked_for_once_within_30_seconds() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)

    for _ in range(30):
        assert failures(cache) == [target()]
        clock.seconds += 0.999

    assert store.questions == ["TEST"]


def test_an_account_is_asked_for_again_after_30_seconds() -> None:
    store, clock = Store(), Clock()
    cache = TargetsCache(store.load, clock)
    assert failures(cache) == []

    store.targets.append(target())
    clock.seconds += 29.9
    assert failures(cache) == []
    clock.seconds += 0.1

    assert failures(cache) == [target()]
    assert store.questions == ["TEST", "TEST"]


def test_the_30_seconds_are_counted_from_the_question_and_not_from_the_last_use() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)

    for _ in range(4):
        failures(cache)
        clock.seconds += 15

    assert store.questions == ["TEST", "TEST"]


def test_a_clock_that_was_set_back_keeps_no_answer_longer() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)

    failures(cache)
    clock.seconds -= 3600
    failures(cache)

    assert store.questions == ["TEST", "TEST"]


def test_an_account_without_targets_is_remembered_too() -> None:
    store = Store()
    cache = TargetsCache(store.load, Clock())

    assert failures(cache) == failures(cache) == []
    assert store.questions == ["TEST"]


def test_the_events_of_an_account_share_one_question() -> None:
    store = Store(*(target(f"https://{event}.example/", event=event) for event in EventType))
    cache = TargetsCache(store.load, Clock())

    for event in EventType:
        assert cache.wanting(event_of("TEST", event)) == [target(f"https://{event}.example/", event=event)]

    assert store.questions == ["TEST"]


def test_each_account_has_a_question_and_targets_of_its_own() -> None:
    store = Store(target(account="A"), target(account="B"))
    cache = TargetsCache(store.load, Clock())

    assert failures(cache, "A") == [target(account="A")]
    assert failures(cache, "B") == [target(account="B")]
    assert store.questions == ["A", "B"]


def test_targets_that_are_switched_off_are_left_out() -> None:
    store = Store(target("https://on.example/"), target("https://off.example/", enabled=False))

    assert failures(TargetsCache(store.load, Clock())) == [target("https://on.example/")]


def test_targets_of_other_events_are_left_out() -> None:
    store = Store(target(event=EventType.SUCCESS), target(event=EventType.PARTIAL_SUCCESS))

    assert failures(TargetsCache(store.load, Clock())) == []


def test_a_target_is_found_whether_it_is_on_or_off() -> None:
    on, off = target("https://on.example/"), target("https://off.example/", enabled=False)
    cache = TargetsCache(Store(on, off).load, Clock())

    assert found(cache, on) == on
    assert found(cache, off) == off


def test_a_target_is_found_by_account_and_id_together() -> None:
    known = target(), target(event=EventType.SUCCESS), target(account="OTHER")
    cache = TargetsCache(Store(*known).load, Clock())

    assert [found(cache, each) for each in known] == list(known)
    assert found(cache, target("https://other.example/")) is None
    assert found(cache, target(event=EventType.MISSING)) is None
    assert found(cache, target("https://other.example/", account="OTHER")) is None


def test_a_target_is_looked_for_in_what_was_read_when_it_counted_or_later() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)
    read_at = clock.seconds
    failures(cache)
    clock.seconds += 29.9

    assert found(cache, target(), not_before=read_at - 3600) == target()
    assert found(cache, target(), not_before=read_at) == target()
    assert store.questions == ["TEST"]


def test_targets_read_before_that_time_are_read_again() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)
    failures(cache)
    store.targets = [target(enabled=False)]
    clock.seconds += 1

    assert found(cache, target(), not_before=clock.seconds - 1) == target()
    assert found(cache, target(), not_before=clock.seconds - 0.001) == target(enabled=False)
    # The new read serves all callers from then on.
    assert failures(cache) == []
    assert found(cache, target(), not_before=clock.seconds) == target(enabled=False)
    assert store.questions == ["TEST", "TEST"]


def test_targets_older_than_30_seconds_are_read_again_whatever_the_caller_accepts() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)
    failures(cache)
    clock.seconds += 30

    assert found(cache, target(), not_before=0) == target()
    assert store.questions == ["TEST", "TEST"]


def test_a_renewed_target_replaces_the_one_that_was_read_and_no_other() -> None:
    others = target("https://other.example/"), target(event=EventType.SUCCESS), target(account="OTHER")
    store = Store(others[0], target(), *others[1:])
    cache = TargetsCache(store.load, Clock())
    failures(cache), failures(cache, "OTHER")

    cache.renew(target(enabled=False), cache.clock())

    assert failures(cache) == [others[0]]
    assert found(cache, target()) == target(enabled=False)
    assert [found(cache, other) for other in others] == list(others)
    assert store.questions == ["TEST", "OTHER"]


def test_renewing_leaves_the_place_of_each_target() -> None:
    urls = ["https://a.example/", "https://b.example/", "https://c.example/"]
    cache = TargetsCache(Store(*map(target, urls)).load, Clock())
    failures(cache)

    cache.renew(target(urls[1]), cache.clock())

    assert [target.url for target in failures(cache)] == urls


def test_renewing_adds_no_target_to_what_was_read() -> None:
    cache = TargetsCache(Store(target()).load, Clock())
    failures(cache)

    cache.renew(target("https://new.example/"), cache.clock())

    assert failures(cache) == [target()]


def test_an_account_that_was_not_read_is_not_known_by_one_renewed_target() -> None:
    store = Store(target(), target("https://other.example/"))
    cache = TargetsCache(store.load, Clock())

    cache.renew(target(enabled=False), cache.clock())

    assert failures(cache) == [target(), target("https://other.example/")]
    assert store.questions == ["TEST"]


def test_renewing_a_target_does_not_prolong_what_was_read() -> None:
    store, clock = Store(target()), Clock()
    cache = TargetsCache(store.load, clock)
    failures(cache)

    clock.seconds += 20
    cache.renew(target(enabled=False), cache.clock())
    clock.seconds += 9.9
    assert failures(cache) == []
    clock.seconds += 0.1
    assert failures(cache) == [target()]

    clock.seconds += 10
    cache.renew(target(enabled=False), cache.clock())
    assert found(cache, target(), not_before=clock.seconds) == target()
    assert store.questions == ["TEST"] * 3


def test_renewing_waits_for_no_question_that_is_open() -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(account: str) -> None:
        asked.set()
        _wait(release)

    cache = TargetsCache(Store(target(), before=hang).load, Clock())

    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(failures, cache)
        _wait(asked)
        try:
            cache.renew(target(enabled=False), cache.clock())
            assert not waiting.done()
        finally:
            release.set()

    assert waiting.result() == [target()]


def test_threads_that_need_the_same_account_ask_once() -> None:
    threads = 16
    barrier, release = threading.Barrier(threads), threading.Event()
    store = Store(target(), before=lambda account: _wait(release))
    cache = TargetsCache(store.load, Clock())

    def need() -> Sequence[Target]:
        barrier.wait(PATIENCE_SECONDS)
        return failures(cache)

    with ThreadPoolExecutor(threads) as executor:
        answers = [executor.submit(need) for _ in range(threads)]
        # Time for the other threads to arrive during the first one's read.
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

    cache = TargetsCache(Store(target(account="FAST"), target(account="SLOW"), before=slow).load, Clock())

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
    cache = TargetsCache(store.load, Clock())

    with pytest.raises(OSError, match="throttled"):
        failures(cache)

    assert failures(cache) == [target()]
    assert store.questions == ["TEST", "TEST"]


def test_threads_that_wait_for_a_read_that_fails_get_its_error() -> None:
    asked, release = threading.Event(), threading.Event()

    def fail_later(account: str) -> None:
        asked.set()
        _wait(release)
        raise OSError("throttled")

    store = Store(before=fail_later)
    cache = TargetsCache(store.load, Clock())

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
    cache = TargetsCache(store.load, clock)

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
    cache = TargetsCache(store.load, Clock())

    for number in range(MAX_ACCOUNTS + 1):
        failures(cache, f"A{number}")
    failures(cache, "A0")

    assert store.questions.count("A0") == 2


def _wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE_SECONDS)
