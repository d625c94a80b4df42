"""A plugin for detect-secrets that finds this service's own secrets."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class SigningSecretDetector(RegexBasedDetector):
    """Finds signing secrets as in Standard Webhooks: `whsec_` and a key in base64."""

    secret_type = "Signing Secret"  # noqa: S105 # pragma: allowlist secret - its name
    denylist = (re.compile(r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}"),)
