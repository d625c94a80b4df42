"""Models of event types, targets and their settings, signing secrets, and test events."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any, Self

from pydantic import Field, StrictBool, model_validator

from backup_webhooks.api.models import Input, Link, Model, TimestampOut
from backup_webhooks.events.messages import EventType
from backup_webhooks.payloads import FORMATS
from backup_webhooks.posting.target_url import MAX_URL_LENGTH
from backup_webhooks.targets.custom_headers import MOST_HEADERS
from backup_webhooks.targets.event_filter import LONGEST_PATTERN, MOST_PATTERNS, EventFilter
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.preferences import MOST_REMIND_HOURS, Preferences, QuietHours
from backup_webhooks.targets.signing import SigningSecret, current
from backup_webhooks.targets.target import DeliveryMode, Target

# The platform's API takes so many targets of an event type; the targets' own has no such limit.
MOST_OF_AN_EVENT = 5
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_LONGEST_KEY = 200


class Secret(Model):
    """A signing secret that is current. Only the answer to the request that makes it holds its value."""

    expires_at: TimestampOut | None

    @classmethod
    def of(cls, secret: SigningSecret) -> Self:
        """Return the answer, without the secret's value."""
        return cls(expires_at=secret.expires_at)


class TargetHealth(Model):
    """The health of a target, by its latest attempts."""

    state: Annotated[str, Field(json_schema_extra={"enum": ["good", "slow", "failing", "switchedOff"]})]
    consecutive_failures: int
    failing_since: TimestampOut | None
    last_status: int | None
    last_reason: str | None
    switched_off_at: TimestampOut | None
    switched_off_reason: str | None

    @classmethod
    def of(cls, health: Health) -> Self:
        """Return the answer for a target's health."""
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
    """Local times of an IANA zone, to the minute. They go over midnight if `until` is before `from`."""

    start: Annotated[str, Field(alias="from", pattern=_TIME, examples=["22:00"])]
    end: Annotated[str, Field(alias="until", pattern=_TIME, examples=["07:00"])]
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"

    def quiet_hours(self) -> QuietHours:
        """Return the quiet hours to store."""
        return QuietHours(time.fromisoformat(self.start), time.fromisoformat(self.end), self.timezone)


class PreferencesModel(Input):
    """The preferences of a target. A preference that is left out suppresses nothing.

    `changesOnly`: only the first event of each type since the server policy's last success is sent, and only the first
    success after something else. `remindHours`: while the trouble lasts, its newest event is sent again after each so
    many hours. `quietHours`: only failures and misses are sent then. `group`: events within a minute are sent as one
    message, at its end; not with the format `pagerduty`. The log shows suppressed and grouped deliveries with a reason.
    """

    changes_only: StrictBool = False
    remind_hours: Annotated[int, Field(ge=1, le=MOST_REMIND_HOURS, strict=True)] | None = None
    quiet_hours: QuietHoursModel | None = None
    group: StrictBool = False

    @classmethod
    def of(cls, preferences: Preferences) -> Self:
        """Return the answer for stored preferences."""
        quiet = preferences.quiet_hours
        return cls.model_validate(
            {
                "group": preferences.group,
                "changesOnly": preferences.changes_only,
                "remindHours": preferences.remind_hours,
                "quietHours": quiet
                and {"from": f"{quiet.start:%H:%M}", "until": f"{quiet.end:%H:%M}", "timezone": quiet.timezone},
            }
        )

    def stored(self) -> Preferences:
        """Return the preferences to store."""
        quiet = self.quiet_hours.quiet_hours() if self.quiet_hours else None
        return Preferences(self.changes_only, self.remind_hours, quiet, self.group)


type _Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN)]], Field(max_length=MOST_PATTERNS)
]


class FilterModel(Input):
    """The filter of a target: patterns for the names in an event. A field without patterns lets all pass.

    An event is posted if one pattern of each field matches: of `policies` the account policy's name or id, of `servers`
    the server's id, of `storageRegions` the region. `*` stands for any characters, `?` for one; case makes no
    difference.
    """

    policies: _Patterns = Field(default_factory=list, examples=[["Nightly*"]])
    servers: _Patterns = Field(default_factory=list, examples=[["db-*", "fileserver"]])
    storage_regions: _Patterns = Field(default_factory=list, examples=[["US WEST"]])

    @classmethod
    def of(cls, stored: EventFilter) -> Self:
        """Return the answer for a stored filter."""
        return cls.model_validate(
            {
                "policies": list(stored.policies),
                "servers": list(stored.servers),
                "storageRegions": list(stored.storage_regions),
            }
        )

    def stored(self) -> EventFilter:
        """Return the filter to store."""
        return EventFilter(tuple(self.policies), tuple(self.servers), tuple(self.storage_regions))


class TargetOut(Model):
    """A target as it is stored. Header values may be secrets, so null stands for each.

    `hasDestinationKey`: whether there is one; no answer holds the key itself. `secret`: the value of the signing
    secret, only in the answer to the request that adds the target.
    """

    target_uri: str
    target_id: str
    events: list[EventType]
    filter: FilterModel
    recursive: bool
    format: str
    has_destination_key: bool
    delivery: DeliveryMode
    enabled: bool
    headers: dict[str, None]
    preferences: PreferencesModel
    include_output: bool
    secrets: list[Secret]
    health: TargetHealth
    secret: str | None = None

    @classmethod
    def of(cls, target: Target, now: datetime, secret: str | None = None) -> Self:
        """Return the answer for a target. `secret`: the value of its secret if the answer is to hold it."""
        return cls(
            target_uri=target.url,
            target_id=target.target_id,
            events=list(target.event_types),
            filter=FilterModel.of(target.filter),
            recursive=target.recursive,
            format=target.format,
            has_destination_key=target.destination_key is not None,
            delivery=target.delivery,
            enabled=target.enabled,
            headers=dict.fromkeys(target.headers),
            preferences=PreferencesModel.of(target.preferences),
            include_output=target.include_output,
            secrets=list(map(Secret.of, current(target.secrets, now))),
            health=TargetHealth.of(target.health),
            secret=secret,
        )


class EventTargetsOut(Model):
    """The targets that name an event type. `recursive`: whether there are any, and all of them are."""

    recursive: bool
    target_uris: list[TargetOut]


class WebhookOut(Model):
    """An event type, its label on the page, and its targets. `etag`: for `If-Match` of requests that change them."""

    name: EventType
    label: str
    description: str
    etag: str
    configuration: EventTargetsOut
    links: list[Link]


class WebhooksOut(Model):
    """The event types with an account's targets, the formats, and the most targets of an event type here."""

    items: list[WebhookOut]
    formats: list[str]
    most_targets: int
    links: list[Link]


class TargetSettings(Input):
    """A target's settings. A setting that is left out stays as it is; a new target gets its default.

    `recursive`: whether events of the accounts below this one are posted too. `destinationKey`: some formats need it
    beside the URL, such as PagerDuty's routing key. No answer holds it, and a change of the format removes it.
    `headers`: all custom headers; null as a value keeps the stored one. `includeOutput`: whether the backup output,
    which may hold secrets, is posted in formats with a place for it.
    """

    format: Annotated[str, Field(json_schema_extra={"enum": list(FORMATS)})] | None = None
    destination_key: Annotated[str, Field(max_length=_LONGEST_KEY)] | None = None
    delivery: DeliveryMode | None = None
    enabled: StrictBool | None = None
    filter: FilterModel | None = None
    recursive: StrictBool | None = None
    headers: Annotated[dict[str, str | None], Field(json_schema_extra={"maxProperties": MOST_HEADERS})] | None = None
    preferences: PreferencesModel | None = None
    include_output: StrictBool | None = None


type _Uri = Annotated[str, Field(max_length=MAX_URL_LENGTH, examples=["https://hooks.example.com/backups"])]
type _Events = Annotated[list[EventType], Field(min_length=1, max_length=20)]


class NewTarget(TargetSettings):
    """A target to add."""

    target_uri: _Uri
    events: _Events


class TargetChanges(TargetSettings):
    """Changes to a target. A setting that is left out stays as it is.

    Values stored for one host are not sent to another: with a `targetUri` of another one, `headers` and
    `destinationKey` are to be given again.
    """

    target_uri: _Uri | None = None
    events: _Events | None = None


class TargetsOut(Model):
    """An account's targets, the formats, and the most targets that it may have."""

    items: list[TargetOut]
    formats: list[str]
    most_targets: int


class TargetIn(TargetSettings):
    """A target of an event type. The fields that only answers have (`targetId`, `secrets`, `health` …) are ignored."""

    target_uri: _Uri

    @model_validator(mode="before")
    @classmethod
    def _without_read_only_fields(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: part for name, part in value.items() if name not in _READ_ONLY}


_READ_ONLY = {"targetId", "events", "hasDestinationKey", "secrets", "health", "secret", "links"}


class EventTargetsIn(Input):
    """All targets of an event type to store. `recursive`: of each target that does not say it itself."""

    recursive: StrictBool | None = None
    target_uris: Annotated[list[TargetIn], Field(max_length=MOST_OF_AN_EVENT)]


class Overlap(Input):
    """The time for which the old signing secrets sign beside the new one."""

    overlap_hours: Annotated[float, Field(ge=0, le=168, strict=True, allow_inf_nan=False)] = 24


class NewSecret(Model):
    """The new signing secret, which only this answer holds, and all current ones, the newest first."""

    secret: str
    secrets: list[Secret]


class TestResult(Model):
    """The result of a test event: the endpoint's answer, or the reason why there was none, and the posted body."""

    __test__ = False  # not a test, despite its name

    delivered: bool
    status: int | None
    milliseconds: int
    reason: str | None
    response: str
    body: str
