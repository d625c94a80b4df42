"""Settings: an error names a variable that is missing or misspelt."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from backup_webhooks.api.services import WebhooksApiSettings
from backup_webhooks.aws.settings import InvalidSetting
from backup_webhooks.deliveries.attempt import DeliverySettings

ENVIRONMENT = {
    "WEBHOOKS_TABLE": "Webhooks",
    "SERVER_POLICIES_TABLE": "ServerPolicies",
    "DELIVERIES_TABLE": "Deliveries",
    "DELIVERY_RETENTION_DAYS": "30",
    "ALLOW_PRIVATE_TARGETS": "false",
    "RETRY_QUEUE_URL": "https://sqs.example/RetryQueue",
    "RETRY_DELAYS_SECONDS": "5,300",
}


def environment(**changes: str) -> dict[str, str]:
    return ENVIRONMENT | changes


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(InvalidSetting) as caught:
        DeliverySettings.from_env(environment)
    return str(caught.value)


def test_settings_are_typed_values() -> None:
    settings = DeliverySettings.from_env(environment())

    assert settings == DeliverySettings(
        webhooks_table="Webhooks",
        server_policies_table="ServerPolicies",
        deliveries_table="Deliveries",
        delivery_retention_days=30,
        allow_private_targets=False,
        retry_queue_url="https://sqs.example/RetryQueue",
        retry_delays_seconds="5,300",
    )
    assert settings.delivery_retention == timedelta(days=30)
    assert settings.retry_delays == (timedelta(seconds=5), timedelta(minutes=5))


def test_other_variables_do_not_matter() -> None:
    assert DeliverySettings.from_env(environment(PATH="/bin")) == DeliverySettings.from_env(environment())


def test_private_targets_are_allowed_if_it_says_true() -> None:
    assert DeliverySettings.from_env(environment(ALLOW_PRIVATE_TARGETS="true")).allow_private_targets


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        DeliverySettings.from_env(environment()).allow_private_targets = True  # type: ignore[misc]


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_variable_is_named(name: str) -> None:
    left = environment()
    del left[name]

    assert refusal(left).startswith(f"Object missing required field `{name}`")


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_an_empty_variable_is_as_good_as_missing(name: str) -> None:
    assert f"`$.{name}`" in refusal(environment(**{name: ""}))


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_whose_name_is_misspelt_is_missing(name: str) -> None:
    misspelt = environment()
    misspelt[name.lower()] = misspelt.pop(name)

    assert f"`{name}`" in refusal(misspelt)


@pytest.mark.parametrize("value", ["yes", "on", "ture", " true", "true\n", "false;", "2"])
def test_a_flag_is_true_or_false_and_nothing_else(value: str) -> None:
    assert "Expected `bool`, got `str` - at `$.ALLOW_PRIVATE_TARGETS`" in refusal(
        environment(ALLOW_PRIVATE_TARGETS=value)
    )


@pytest.mark.parametrize("value", ["0", "-1", "+1", "1.5", "30 days", "thirty", "1000000", "0x1e", "٣٠", "²", "1_000"])
def test_days_are_a_whole_number_from_1(value: str) -> None:
    assert re.search(
        r"Expected `int`.* - at `\$\.DELIVERY_RETENTION_DAYS`", refusal(environment(DELIVERY_RETENTION_DAYS=value))
    )


@pytest.mark.parametrize("value", ["9" * 10, "9" * 30, "9" * 5000], ids=["10 digits", "30 digits", "5000 digits"])
def test_days_beyond_all_reason_are_named_too(value: str) -> None:
    assert "`$.DELIVERY_RETENTION_DAYS`" in refusal(environment(DELIVERY_RETENTION_DAYS=value))


@pytest.mark.parametrize(
    "value", ["0", "5,", ",5", "5,,6", "5 ,6", "5;6", "-5", "5.0", "five", "1000000", ",".join(["5"] * 21)]
)
def test_delays_are_whole_numbers_of_seconds_with_commas(value: str) -> None:
    assert "matching regex" in (text := refusal(environment(RETRY_DELAYS_SECONDS=value)))
    assert "`$.RETRY_DELAYS_SECONDS`" in text


def test_one_delay_is_enough_and_twenty_are_the_most() -> None:
    one = DeliverySettings.from_env(environment(RETRY_DELAYS_SECONDS="999999"))
    twenty = DeliverySettings.from_env(environment(RETRY_DELAYS_SECONDS=",".join(["7"] * 20)))

    assert one.retry_delays == (timedelta(seconds=999_999),)
    assert twenty.retry_delays == (timedelta(seconds=7),) * 20


API_ENVIRONMENT = {
    "WEBHOOKS_TABLE": "Webhooks",
    "SERVER_POLICIES_TABLE": "ServerPolicies",
    "DELIVERIES_TABLE": "Deliveries",
    "BACKUPS_TABLE": "Backups",
    "PING_KEYS_TABLE": "PingKeys",
    "BACKUP_EVENTS_QUEUE_URL": "https://sqs.example/BackupEventsQueue",
    "RETRY_QUEUE_URL": "https://sqs.example/RetryQueue",
    "DELIVERY_RETENTION_DAYS": "30",
    "ALLOW_PRIVATE_TARGETS": "false",
    "JWT_ISSUER": "https://issuer.example",
    "JWT_AUDIENCE": "api",
    "SIGN_IN_CLIENT_ID": "page",
    "SIGN_IN_TOKEN": "id_token",
    "ACCOUNT_CLAIM": "account_alias",
}


@pytest.mark.parametrize("name", API_ENVIRONMENT)
def test_a_missing_variable_of_the_api_is_named(name: str) -> None:
    left = {other: value for other, value in API_ENVIRONMENT.items() if other != name}

    with pytest.raises(InvalidSetting, match=name):
        WebhooksApiSettings.from_env(left)


def test_the_page_sends_one_of_the_two_tokens() -> None:
    assert WebhooksApiSettings.from_env(API_ENVIRONMENT).sign_in_token == "id_token"
    with pytest.raises(InvalidSetting, match=r"Invalid enum value 'token' - at `\$\.SIGN_IN_TOKEN`"):
        WebhooksApiSettings.from_env(API_ENVIRONMENT | {"SIGN_IN_TOKEN": "token"})
