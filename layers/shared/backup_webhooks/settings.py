"""What a function is told by its environment: read once, at the first invocation, and then frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self


class InvalidSetting(RuntimeError):
    """An environment variable that is missing or can't be used; the text names it and says what is allowed."""


def required(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable's value; `InvalidSetting` where it is missing or empty."""
    if not (value := environment.get(name)):
        raise InvalidSetting(f"{name}: this environment variable is required (template.yaml sets it)")
    return value


def days(name: str, environment: Mapping[str, str] = os.environ) -> timedelta:
    """A whole number of days, 1 or more."""
    value = required(name, environment)
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise InvalidSetting(f"{name}: must be a whole number of days, 1 or more; it is {value!r}")
    return timedelta(days=int(value))


def flag(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """`true` or `false`, nothing else: a misspelt `true` must not open or close a door unseen."""
    value = required(name, environment)
    if value not in ("true", "false"):
        raise InvalidSetting(f"{name}: must be true or false; it is {value!r}")
    return value == "true"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What a function that posts notifications needs."""

    webhooks_table: str
    deliveries_table: str
    delivery_retention: timedelta
    allow_private_targets: bool

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from WEBHOOKS_TABLE, DELIVERIES_TABLE, DELIVERY_RETENTION_DAYS and ALLOW_PRIVATE_TARGETS."""
        return cls(
            webhooks_table=required("WEBHOOKS_TABLE", environment),
            deliveries_table=required("DELIVERIES_TABLE", environment),
            delivery_retention=days("DELIVERY_RETENTION_DAYS", environment),
            allow_private_targets=flag("ALLOW_PRIVATE_TARGETS", environment),
        )
