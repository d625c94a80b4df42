"""The posts that the demo's receiver gets, as `make run` prints them."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

from local.receiver import Post

FLAKY_PATH, FLAKY_FAILURES = "/fails-twice", 2


@dataclass
class Arrivals:
    """The posts that the demo's receiver gets. It prints each with the time since its message was sent.

    At FLAKY_PATH it answers the first posts with 503, like an endpoint that is down for a while.
    """

    sent: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    flaky_posts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, body: str) -> str:
        """Note the time at which a message is sent. Return the id by which its post is recognised."""
        message = json.loads(body)
        subject_id = str(message.get("restorePointId") or message["serverPolicyId"])
        with self._lock:
            self.sent[subject_id] = time.time()
        return subject_id

    def on_post(self, post: Post) -> int:
        """Print the post. Return the status to answer with."""
        with self._lock:
            text = _text(post)
            if post.path == FLAKY_PATH:
                self.flaky_posts += 1
                status = 503 if self.flaky_posts <= FLAKY_FAILURES else 200
                print(f"  {status:>8}  POST {post.path:<24} {text}", flush=True)
                return status
            subject_id = next((subject_id for subject_id in self.sent if subject_id in text), None)
            latency = ""
            if subject_id is not None:
                self.arrived.add(subject_id)
                self.latencies.append(post.received_at - self.sent.pop(subject_id))
                latency = f"{self.latencies[-1] * 1000:5.0f} ms"
            print(f"  {latency:>8}  POST {post.path:<24} {text}", flush=True)
            return 200

    @property
    def recovered(self) -> bool:
        """Whether the endpoint that fails at first has accepted its post."""
        return self.flaky_posts > FLAKY_FAILURES


def _text(post: Post) -> str:
    """Return the text that most formats have, or else the whole body."""
    text = json.loads(post.body).get("text")
    return text if isinstance(text, str) else post.body.decode()
