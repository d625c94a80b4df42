"""Answers of a customer's endpoint, for a `Receiver` of a test's own."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta

from local.receiver import Post
from tests.world.world import World


class Endpoint:
    """Answers with its statuses one after the other, then with the last for ever. `posts`: how many, by webhook-id."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.posts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, post: Post) -> int:
        with self._lock:
            self.posts[post.headers["webhook-id"]] += 1
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class Times:
    """An endpoint that notes the world's time at each post."""

    def __init__(self, *statuses: int) -> None:
        self.world: World | None = None
        self.posts: list[tuple[datetime, Post]] = []
        self._answer = Endpoint(*statuses)

    def __call__(self, post: Post) -> int:
        assert self.world
        self.posts.append((self.world.now, post))
        return self._answer(post)

    @property
    def pauses(self) -> list[timedelta]:
        """Return the times between the posts."""
        return [later - earlier for (earlier, _), (later, _) in zip(self.posts, self.posts[1:], strict=False)]
