"""An attempt at a delivery: what is posted to its target, and what may be known of the answer."""

from __future__ import annotations

from copy import replace
from datetime import datetime

from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.posting.sender import AttemptResult, Sender
from backup_webhooks.targets.target import Target

# Of a key; what is shorter gives nothing away.
_SHORTEST_PART = 4


def post(sender: Sender, delivery: Delivery, target: Target, now: datetime) -> AttemptResult:
    """Make one attempt, signed, with the target's settings as they are now.

    Answers are logged and shown, and some say what they were sent: the destination's key is not to be read there.
    """
    attempt = sender.post(target.url, delivery.posted_to(target), delivery.headers(target, now))
    if target.destination_key is None:
        return attempt
    return replace(attempt, response=_without(target.destination_key.encode(), attempt.response))


def _without(key: bytes, response: bytes) -> bytes:
    """The answer, as long as before, so that no part of a key moves to where it is cut."""
    response = response.replace(key, b"*" * len(key))
    # One that breaks off may do so in the midst of it.
    for length in range(len(key) - 1, _SHORTEST_PART - 1, -1):
        if response.endswith(key[:length]):
            return response[:-length] + b"*" * length
    return response
