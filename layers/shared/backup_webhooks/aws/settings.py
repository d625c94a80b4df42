"""What a function is told by its environment: read once, at the first invocation, and then frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Self

from msgspec import Struct

_MOST_DIGITS = 6
_MOST_SHOWN = 40
_MOST_DELAYS = 20


class InvalidSetting(RuntimeError):
    """An environment variable that is missing or can't be used; the text names it and says what is allowed."""


def required(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable's value; `InvalidSetting` where it is missing or empty."""
    if not (value := environment.get(name)):
        raise InvalidSetting(f"{name}: this environment variable is required (template.yaml sets it)")
    return value


def whole_number(name: str, environment: Mapping[str, str] = os.environ) -> int:
    """A whole number from 1 to 999999."""
    value = required(name, environment)
    if not _is_whole_number(value):
        raise InvalidSetting(f"{name}: must be a whole number from 1 to 999999; it is {value[:_MOST_SHOWN]!r}")
    return int(value)


def _is_whole_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > 0


def delays(name: str, environment: Mapping[str, str] = os.environ) -> tuple[timedelta, ...]:
    """1 to 20 whole numbers of seconds, from 1 to 999999 each, with commas between them."""
    value = required(name, environment)
    parts = value.split(",")
    if len(parts) > _MOST_DELAYS or not all(map(_is_whole_number, parts)):
        raise InvalidSetting(
            f"{name}: must be 1 to {_MOST_DELAYS} whole numbers of seconds from 1 to 999999, such as 5,300,1800; "
            f"it is {value[:_MOST_SHOWN]!r}"
        )
    return tuple(timedelta(seconds=int(part)) for part in parts)


def flag(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """`true` or `false`, nothing else: a misspelt `true` must not open or close a door unseen."""
    value = required(name, environment)
    if value not in ("true", "false"):
        raise InvalidSetting(f"{name}: must be true or false; it is {value!r}")
    return value == "true"


class DeliverySettings(Struct, frozen=True):
    """What a function that posts notifications needs: tables, how long to keep, whom to trust, when to try again."""

    webhooks_table: str
    deliveries_table: str
    delivery_retention: timedelta
    allow_private_targets: bool
    retry_queue_url: str
    retry_delays: tuple[timedelta, ...]

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from WEBHOOKS_TABLE, DELIVERIES_TABLE, DELIVERY_RETENTION_DAYS, ALLOW_PRIVATE_TARGETS,
        RETRY_QUEUE_URL and RETRY_DELAYS_SECONDS.
        """
        return cls(
            webhooks_table=required("WEBHOOKS_TABLE", environment),
            deliveries_table=required("DELIVERIES_TABLE", environment),
            delivery_retention=timedelta(days=whole_number("DELIVERY_RETENTION_DAYS", environment)),
            allow_private_targets=flag("ALLOW_PRIVATE_TARGETS", environment),
            retry_queue_url=required("RETRY_QUEUE_URL", environment),
            retry_delays=delays("RETRY_DELAYS_SECONDS", environment),
        )


class NotifierSettings(Struct, frozen=True):
    """What the notifier needs."""

    delivery: DeliverySettings
    server_policies_table: str
    backups_table: str
    backup_events_queue_url: str
    email_notices_queue_url: str | None

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from what `DeliverySettings` reads, SERVER_POLICIES_TABLE, BACKUPS_TABLE, BACKUP_EVENTS_QUEUE_URL, and
        EMAIL_NOTICES_QUEUE_URL, which is empty where no e-mail is sent.
        """
        return cls(
            delivery=DeliverySettings.from_env(environment),
            server_policies_table=required("SERVER_POLICIES_TABLE", environment),
            backups_table=required("BACKUPS_TABLE", environment),
            backup_events_queue_url=required("BACKUP_EVENTS_QUEUE_URL", environment),
            email_notices_queue_url=environment.get("EMAIL_NOTICES_QUEUE_URL") or None,
        )


class RedelivererSettings(Struct, frozen=True):
    """What the redeliverer needs."""

    delivery: DeliverySettings
    server_policies_table: str
    dead_letter_queue_url: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from what `DeliverySettings` reads, SERVER_POLICIES_TABLE, and RETRY_DEAD_LETTER_QUEUE_URL."""
        return cls(
            delivery=DeliverySettings.from_env(environment),
            server_policies_table=required("SERVER_POLICIES_TABLE", environment),
            dead_letter_queue_url=required("RETRY_DEAD_LETTER_QUEUE_URL", environment),
        )


class SignInSettings(Struct, frozen=True):
    """Who signs people in: an OpenID Connect provider, and the claim of its tokens that names the account.

    `audience`: for whom a token must be; `client_id`: as whom the page signs people in. `token`: which of the two
    tokens that it gets the page sends, `access_token` or `id_token`.
    """

    issuer: str
    audience: str
    client_id: str
    token: str
    account_claim: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from JWT_ISSUER, JWT_AUDIENCE, SIGN_IN_CLIENT_ID, SIGN_IN_TOKEN and ACCOUNT_CLAIM."""
        token = required("SIGN_IN_TOKEN", environment)
        if token not in ("access_token", "id_token"):
            raise InvalidSetting(f"SIGN_IN_TOKEN: must be access_token or id_token; it is {token[:_MOST_SHOWN]!r}")
        return cls(
            issuer=required("JWT_ISSUER", environment),
            audience=required("JWT_AUDIENCE", environment),
            client_id=required("SIGN_IN_CLIENT_ID", environment),
            token=token,
            account_claim=required("ACCOUNT_CLAIM", environment),
        )


class WebhooksApiSettings(Struct, frozen=True):
    """What webhooks_api needs."""

    webhooks_table: str
    deliveries_table: str
    server_policies_table: str
    backups_table: str
    ping_keys_table: str
    backup_events_queue_url: str
    retry_queue_url: str
    delivery_retention: timedelta
    allow_private_targets: bool
    sends_email: bool
    sign_in: SignInSettings

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from WEBHOOKS_TABLE, DELIVERIES_TABLE, SERVER_POLICIES_TABLE, BACKUPS_TABLE, PING_KEYS_TABLE,
        BACKUP_EVENTS_QUEUE_URL, RETRY_QUEUE_URL, DELIVERY_RETENTION_DAYS, ALLOW_PRIVATE_TARGETS, EMAIL_SENDER, which
        is empty where no e-mail is sent, and what `SignInSettings` reads.
        """
        return cls(
            webhooks_table=required("WEBHOOKS_TABLE", environment),
            deliveries_table=required("DELIVERIES_TABLE", environment),
            server_policies_table=required("SERVER_POLICIES_TABLE", environment),
            backups_table=required("BACKUPS_TABLE", environment),
            ping_keys_table=required("PING_KEYS_TABLE", environment),
            backup_events_queue_url=required("BACKUP_EVENTS_QUEUE_URL", environment),
            retry_queue_url=required("RETRY_QUEUE_URL", environment),
            delivery_retention=timedelta(days=whole_number("DELIVERY_RETENTION_DAYS", environment)),
            allow_private_targets=flag("ALLOW_PRIVATE_TARGETS", environment),
            sends_email=bool(environment.get("EMAIL_SENDER")),
            sign_in=SignInSettings.from_env(environment),
        )


class PingSettings(Struct, frozen=True):
    """What ping needs."""

    ping_keys_table: str
    backup_events_queue_url: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from PING_KEYS_TABLE and BACKUP_EVENTS_QUEUE_URL."""
        return cls(
            ping_keys_table=required("PING_KEYS_TABLE", environment),
            backup_events_queue_url=required("BACKUP_EVENTS_QUEUE_URL", environment),
        )


class MissedBackupsSettings(Struct, frozen=True):
    """What missed_backups needs."""

    server_policies_table: str
    backup_events_queue_url: str
    heartbeat_grace: timedelta

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from SERVER_POLICIES_TABLE, BACKUP_EVENTS_QUEUE_URL and HEARTBEAT_GRACE_SECONDS."""
        return cls(
            server_policies_table=required("SERVER_POLICIES_TABLE", environment),
            backup_events_queue_url=required("BACKUP_EVENTS_QUEUE_URL", environment),
            heartbeat_grace=timedelta(seconds=whole_number("HEARTBEAT_GRACE_SECONDS", environment)),
        )


class EmailSettings(Struct, frozen=True):
    """What a function that sends e-mail needs: the address from which it comes, and the page to which it leads."""

    sender: str
    page_url: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from EMAIL_SENDER and PAGE_URL."""
        return cls(sender=required("EMAIL_SENDER", environment), page_url=required("PAGE_URL", environment))


class DailyReportSettings(Struct, frozen=True):
    """What daily_report needs."""

    webhooks_table: str
    server_policies_table: str
    backups_table: str
    deliveries_table: str
    reports_queue_url: str
    email: EmailSettings

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from WEBHOOKS_TABLE, SERVER_POLICIES_TABLE, BACKUPS_TABLE, DELIVERIES_TABLE, REPORTS_QUEUE_URL, and what
        `EmailSettings` reads.
        """
        return cls(
            webhooks_table=required("WEBHOOKS_TABLE", environment),
            server_policies_table=required("SERVER_POLICIES_TABLE", environment),
            backups_table=required("BACKUPS_TABLE", environment),
            deliveries_table=required("DELIVERIES_TABLE", environment),
            reports_queue_url=required("REPORTS_QUEUE_URL", environment),
            email=EmailSettings.from_env(environment),
        )


class EmailNoticesSettings(Struct, frozen=True):
    """What email_notices needs."""

    webhooks_table: str
    backups_table: str
    email: EmailSettings

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from WEBHOOKS_TABLE, BACKUPS_TABLE, and what `EmailSettings` reads."""
        return cls(
            webhooks_table=required("WEBHOOKS_TABLE", environment),
            backups_table=required("BACKUPS_TABLE", environment),
            email=EmailSettings.from_env(environment),
        )
