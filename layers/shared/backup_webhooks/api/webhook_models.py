"""Webhooks in and out of the API: events, targets and their settings, signing secrets, test messages."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, model_validator

from backup_webhooks.api.models import Input, Link, Model, Time
from backup_webhooks.events.messages import EventType
from backup_webhooks.payloads import FORMATS
from backup_webhooks.posting.target_url import MAX_URL_LENGTH
from backup_webhooks.targets.custom_headers import MOST_HEADERS
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.preferences import MOST_REMIND_HOURS, Preferences, QuietHours
from backup_webhooks.targets.signing import SigningSecret, current
from backup_webhooks.targets.target import MOST_TARGETS, DeliveryMode, Target

_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_LONGEST_KEY = 200


class Secret(Model):
    """A signing secret that is current; its value is told once, when it is made."""

    expires_at: Time | None

    @classmethod
    def of(cls, secret: SigningSecret) -> Self:
        """Without its value."""
        return cls(expires_at=secret.expires_at)


class TargetHealth(Model):
    """How a target has answered of late."""

    state: Annotated[str, Field(json_schema_extra={"enum": ["good", "slow", "failing", "switchedOff"]})]
    consecutive_failures: int
    failing_since: Time | None
    last_status: int | None
    last_reason: str | None
    switched_off_at: Time | None
    switched_off_reason: str | None

    @classmethod
    def of(cls, health: Health) -> Self:
        """What the customer may know of it: all."""
        return cls(
            state=_state(health),
            consecutive_failures=health.consecutive_failures,
            failing_since=health.failing_since,
            last_status=health.last_status,
            last_reason=health.last_reason,
            switched_off_at=health.switched_off_at,
            switched_off_reason=health.switched_off_reason,
        )


def _state(health: Health) -> str:
    if health.switched_off_reason:
        return "switchedOff"
    if health.consecutive_failures:
        return "failing"
    return "slow" if health.slow else "good"


class QuietHoursModel(Input):
    """Local times of an IANA zone, to the minute; over midnight where `until` is before `from`."""

    start: Annotated[str, Field(alias="from", pattern=_TIME, examples=["22:00"])]
    end: Annotated[str, Field(alias="until", pattern=_TIME, examples=["07:00"])]
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"

    def quiet_hours(self) -> QuietHours:
        """The times."""
        return QuietHours(time.fromisoformat(self.start), time.fromisoformat(self.end), self.timezone)


class PreferencesModel(Input):
    """What is not to be sent to a target. What is left out is sent.

    `changesOnly`: of each kind of event only the first since the server policy's last success, and of successes only
    the first after something else. `remindHours`: while it lasts the newest once more, each so many hours.
    `quietHours`: nothing then but failures and misses. `gather`: what comes within a minute is one message, at its end;
    not with the format `pagerduty`. What is held back or gathered stands in the delivery log, with the reason.
    """

    changes_only: StrictBool = False
    remind_hours: Annotated[int, Field(ge=1, le=MOST_REMIND_HOURS, strict=True)] | None = None
    quiet_hours: QuietHoursModel | None = None
    gather: StrictBool = False

    @classmethod
    def of(cls, preferences: Preferences) -> Self:
        """What is stored."""
        quiet = preferences.quiet_hours
        return cls.model_validate(
            {
                "gather": preferences.gather,
                "changesOnly": preferences.changes_only,
                "remindHours": preferences.remind_hours,
                "quietHours": quiet
                and {"from": f"{quiet.start:%H:%M}", "until": f"{quiet.end:%H:%M}", "timezone": quiet.timezone},
            }
        )

    def preferences(self) -> Preferences:
        """What is to be stored."""
        quiet = self.quiet_hours.quiet_hours() if self.quiet_hours else None
        return Preferences(self.changes_only, self.remind_hours, quiet, self.gather)


class TargetOut(Model):
    """A target as it is stored. Header values may be secrets and are not told: null stands for each. Nor is the
    destination's key, but that there is one.

    `secret`: the value of the signing secret, there only in the answer to the request that has added the target.
    """

    target_uri: str
    target_id: str
    format: str
    has_destination_key: bool
    delivery: DeliveryMode
    enabled: bool
    headers: dict[str, None]
    noise: PreferencesModel
    include_log: bool
    secrets: list[Secret]
    health: TargetHealth
    secret: str | None = None

    @classmethod
    def of(cls, target: Target, now: datetime, secret: str | None = None) -> Self:
        """The target, with its secret's value if it is to be told."""
        return cls(
            target_uri=target.url,
            target_id=target.target_id,
            format=target.format,
            has_destination_key=target.destination_key is not None,
            delivery=target.delivery,
            enabled=target.enabled,
            headers=dict.fromkeys(target.headers),
            noise=PreferencesModel.of(target.preferences),
            include_log=target.include_output,
            secrets=[Secret.of(one) for one in current(target.secrets, now)],
            health=TargetHealth.of(target.health),
            secret=secret,
        )


class ConfigurationOut(Model):
    """An event's targets. `recursive` is the platform's; there are no sub-accounts here, and it is always false."""

    recursive: bool = False
    target_uris: list[TargetOut]


class WebhookOut(Model):
    """An event, its label on the page, and its targets. `etag`: for `If-Match` of the requests that change them."""

    name: EventType
    label: str
    description: str
    etag: str
    configuration: ConfigurationOut
    links: list[Link]


class WebhooksOut(Model):
    """The events of an account, and what can be set."""

    items: list[WebhookOut]
    formats: list[str]
    most_targets: int
    links: list[Link]


class TargetSettings(Input):
    """What can be set of a target; what is left out stays as it is, or is the default of a new one.

    `destinationKey`: what some formats need beside the URL, such as PagerDuty's routing key. It is never told, and goes
    when the format is changed. `headers`: all custom headers; null as a value keeps the stored one.
    `includeLog`: whether the end of a backup's log, which may hold secrets, is posted in formats with a place for it.
    """

    format: Annotated[str, Field(json_schema_extra={"enum": list(FORMATS)})] | None = None
    destination_key: Annotated[str, Field(max_length=_LONGEST_KEY)] | None = None
    delivery: DeliveryMode | None = None
    enabled: StrictBool | None = None
    headers: Annotated[dict[str, str | None], Field(json_schema_extra={"maxProperties": MOST_HEADERS})] | None = None
    noise: PreferencesModel | None = None
    include_log: StrictBool | None = None


class TargetIn(TargetSettings):
    """A target as it is to be. What only the answers have (`targetId`, `secrets`, `health` …) may stand here too."""

    target_uri: Annotated[str, Field(max_length=MAX_URL_LENGTH, examples=["https://hooks.example.com/backups"])]

    @model_validator(mode="before")
    @classmethod
    def _without_what_we_told(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: part for name, part in value.items() if name not in _TOLD_ONLY}


_TOLD_ONLY = {"targetId", "hasDestinationKey", "secrets", "health", "secret", "links"}


class ConfigurationIn(Input):
    """An event's targets as they are to be, all of them."""

    recursive: Literal[False] = False
    target_uris: Annotated[list[TargetIn], Field(max_length=MOST_TARGETS)]


class Overlap(Input):
    """For how long the old signing secrets sign beside the new one."""

    overlap_hours: Annotated[float, Field(ge=0, le=168, strict=True, allow_inf_nan=False)] = 24


class NewSecret(Model):
    """The new signing secret, told this once, and all that are current now, the newest first."""

    secret: str
    secrets: list[Secret]


class TestOutcome(Model):
    """What came of a test message: the answer of the endpoint, or why there was none, and what was posted."""

    __test__ = False  # pytest's

    delivered: bool
    status: int | None
    milliseconds: int
    reason: str | None
    response: str
    body: str
