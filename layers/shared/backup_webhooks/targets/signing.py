"""Signatures after Standard Webhooks v1, symmetric: HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backup_webhooks.events.errors import InvalidTarget

_PREFIX = "whsec_"
# The specification allows 24 to 64 bytes.
_KEY_BYTES = 32
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
# Each current secret adds about 50 characters to a header. More rotations within one overlap are a mistake.
MOST_SECRETS = 10


class TooManySecrets(Exception):
    """Too many rotations overlap, so another must wait."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """`whsec_` and the key in base64. `expires_at`: when it ceases to sign, aware, in UTC; None if it does not."""

    value: str = field(repr=False)
    expires_at: datetime | None = None

    @property
    def key(self) -> bytes:
        """Return the bytes that sign."""
        return b64decode(self.value.removeprefix(_PREFIX))


def new_secret() -> SigningSecret:
    """Return a new secret of 256 random bits."""
    return SigningSecret(_PREFIX + b64encode(secrets.token_bytes(_KEY_BYTES)).decode())


def current(signing_secrets: Sequence[SigningSecret], now: datetime) -> Sequence[SigningSecret]:
    """Return the secrets that sign at `now`."""
    return [secret for secret in signing_secrets if secret.expires_at is None or now < secret.expires_at]


def signature(signing_secrets: Sequence[SigningSecret], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature by each secret, in their order."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode() for secret in signing_secrets
    )


def rotated(
    signing_secrets: Sequence[SigningSecret], new: SigningSecret, now: datetime, overlap: timedelta
) -> tuple[SigningSecret, ...]:
    """Return the new secret and the current ones, which sign until the overlap ends.

    Raise `InvalidTarget` for an overlap beyond 0 to 7 days, and `TooManySecrets`.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidTarget("overlap", f"0 to {LONGEST_OVERLAP.days} days are allowed")
    end = now + overlap
    old = [
        replace(secret, expires_at=end if secret.expires_at is None else min(secret.expires_at, end))
        for secret in current(signing_secrets, now)
    ]
    # An overlap of 0 ends the old ones at once.
    kept = (new, *current(old, now))
    if len(kept) > MOST_SECRETS:
        raise TooManySecrets(f"at most {MOST_SECRETS} secrets can be current at once; wait until an older one ends")
    return kept
