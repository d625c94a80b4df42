"""Secrets of this service's own making, for detect-secrets, which knows those of others."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class SigningSecretDetector(RegexBasedDetector):
    """What signs posts, after Standard Webhooks: `whsec_` and a key in base64."""

    secret_type = "Signing Secret"  # noqa: S105 # pragma: allowlist secret - its name
    denylist = (re.compile(r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}"),)
