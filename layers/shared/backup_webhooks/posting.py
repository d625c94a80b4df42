"""An attempt at a delivery: what is posted to its target, and what may be known of the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from backup_webhooks.delivery import Delivery
from backup_webhooks.sender import Attempt, Sender
from backup_webhooks.targets import Target


def post(sender: Sender, delivery: Delivery, target: Target, now: datetime) -> Attempt:
    """Make one attempt, signed, with the target's settings as they are now.

    Answers are logged and shown, and some say what they were sent: the destination's key is not to be read there.
    """
    attempt = sender.post(target.url, delivery.posted_to(target), delivery.headers(target, now))
    if target.destination_key is None:
        return attempt
    key = target.destination_key.encode()
    # As long as before, so that no part of a key moves to where the answer is cut.
    return replace(attempt, response=attempt.response.replace(key, b"*" * len(key)))
