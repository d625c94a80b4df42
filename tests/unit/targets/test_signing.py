"""Signatures, which receivers verify with the library of Standard Webhooks, and the rotation of secrets."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.signing import (
    LONGEST_OVERLAP,
    MOST_SECRETS,
    OVERLAP,
    SigningSecret,
    TooManySecrets,
    current,
    new_secret,
    rotated,
    signature,
)
from backup_webhooks.targets.target import Target
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

NOW = datetime(2018, 12, 20, 17, 0, 6, tzinfo=UTC)
HOUR, DAY, INSTANT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
OVERLAPS = [timedelta(0), INSTANT, HOUR, OVERLAP, LONGEST_OVERLAP]


def target(*secrets: SigningSecret) -> Target:
    return Target("TEST", [EventType.FAILURE], "https://hooks.example.com/backups", secrets=secrets)


def delivery(body: str = '{"text": "Status: FAILED"}') -> Delivery:
    return Delivery(
        account="TEST",
        event_type=EventType.FAILURE,
        target_id="0123456789abcdef",
        occurred_at=Timestamp.parse("2018-12-20T01:39:38Z"),
        subject_id="3f68fa31-731e-4c77-bbc1-8892ec8667e4",
        body=body,
    )


def is_accepted(secret: SigningSecret, headers: dict[str, str], body: str) -> bool:
    """Return whether a receiver that knows only this secret accepts the post."""
    try:
        Webhook(secret.value).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def headers_of(delivery: Delivery, target: Target, now: datetime) -> dict[str, str]:
    return delivery.headers(target, delivery.body_for(target), now)


def accepted_now(target: Target, *known: SigningSecret) -> list[bool]:
    """Return whether each receiver, which knows one of the secrets, accepts a post of now."""
    headers = headers_of(delivery(), target, datetime.now(UTC))
    return [is_accepted(secret, headers, delivery().body) for secret in known]


def refusal(*given: SigningSecret, now: datetime = NOW, overlap: timedelta) -> InvalidTarget:
    with pytest.raises(InvalidTarget) as caught:
        rotated(given, new_secret(), now, overlap)
    return caught.value


def test_the_signature_is_that_of_the_specifications_example() -> None:
    secret = SigningSecret("whsec_plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'

    assert (
        signature([secret], "msg_loFOjxBNrRLzqYUf", 1731705121, body)
        == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    )


@given(st.text(), st.binary(min_size=24, max_size=64))
def test_a_receiver_verifies_any_body_by_any_key(body: str, key: bytes) -> None:
    secret = SigningSecret("whsec_" + b64encode(key).decode())
    headers = headers_of(delivery(body), target(secret), datetime.now(UTC))

    assert is_accepted(secret, headers, body)


def test_id_time_and_body_are_signed_together() -> None:
    secret, body = new_secret(), delivery().body
    headers = headers_of(delivery(), target(secret), datetime.now(UTC))
    earlier = str(int(headers["webhook-timestamp"]) - 1)

    assert is_accepted(secret, headers, body)
    assert not is_accepted(secret, headers, body + " ")
    assert not is_accepted(secret, headers | {"webhook-id": "msg_other"}, body)
    assert not is_accepted(secret, headers | {"webhook-timestamp": earlier}, body)


def test_an_attempt_is_signed_with_its_own_time_and_the_deliverys_id() -> None:
    secret = new_secret()
    first, second = (headers_of(delivery(), target(secret), NOW + pause) for pause in (timedelta(0), HOUR))

    assert first["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert second["webhook-timestamp"] == str(int(NOW.timestamp()) + 3600)
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("secrets", [[], [SigningSecret("whsec_" + "A" * 44, NOW)]], ids=["none", "an ended one"])
def test_a_target_without_a_current_secret_is_sent_no_signature(secrets: list[SigningSecret]) -> None:
    assert "webhook-signature" not in headers_of(delivery(), target(*secrets), NOW)


def test_a_new_secret_is_256_bits_in_base64_after_a_prefix_and_like_no_other() -> None:
    secret = new_secret()

    assert secret.value.startswith("whsec_")
    assert b64decode(secret.value.removeprefix("whsec_"), validate=True) == secret.key
    assert len(secret.key) == 32
    assert secret.expires_at is None
    assert len({new_secret().value for _ in range(1000)}) == 1000


def test_a_secret_is_shown_neither_alone_nor_in_its_target() -> None:
    secret = new_secret()
    key = secret.value.removeprefix("whsec_")

    for holder in (secret, (secret,), target(secret)):
        assert key not in f"{holder} {holder!r} {str(holder)!r}"
    assert repr(secret.key) not in repr(target(secret))


@pytest.mark.parametrize(
    ("overlap", "ago", "old_is_accepted"),
    [
        (OVERLAP, timedelta(0), True),
        (OVERLAP, timedelta(hours=23), True),
        (OVERLAP, timedelta(hours=25), False),
        (timedelta(0), timedelta(0), False),
        (LONGEST_OVERLAP, timedelta(days=6), True),
        (LONGEST_OVERLAP, timedelta(days=8), False),
    ],
    ids=str,
)
def test_the_old_secret_verifies_during_the_overlap_and_the_new_one_always(
    overlap: timedelta, ago: timedelta, old_is_accepted: bool
) -> None:
    old, new = new_secret(), new_secret()
    secrets = rotated([old], new, datetime.now(UTC) - ago, overlap)

    assert accepted_now(target(*secrets), old, new) == [old_is_accepted, True]


def test_secrets_overlap_for_24_hours_unless_the_customer_chose_otherwise() -> None:
    assert timedelta(hours=24) == OVERLAP


@pytest.mark.parametrize("overlap", OVERLAPS[1:], ids=str)
def test_the_old_secret_ends_exactly_with_the_overlap_and_the_new_one_never(overlap: timedelta) -> None:
    old, new = new_secret(), new_secret()
    secrets = rotated([old], new, NOW, overlap)

    assert [secret.value for secret in current(secrets, NOW + overlap - INSTANT)] == [new.value, old.value]
    assert current(secrets, NOW + overlap) == [new]
    assert current(secrets, NOW + 1000 * DAY) == [new]


@pytest.mark.parametrize("overlap", [-INSTANT, -DAY, LONGEST_OVERLAP + INSTANT, timedelta.max, timedelta.min], ids=str)
def test_an_overlap_is_at_most_7_days_and_not_negative(overlap: timedelta) -> None:
    error = refusal(new_secret(), overlap=overlap)

    assert error.field == "overlap"
    assert "0 to 7 days" in str(error)


def test_the_first_secret_is_a_rotation_of_none() -> None:
    new = new_secret()

    assert rotated([], new, NOW, OVERLAP) == (new,)


def test_secrets_that_have_ended_are_dropped() -> None:
    ended, old, new = SigningSecret("whsec_AAAA", NOW), new_secret(), new_secret()

    assert [secret.value for secret in rotated([old, ended], new, NOW, OVERLAP)] == [new.value, old.value]


def test_a_second_rotation_shortens_an_overlap_but_never_prolongs_it() -> None:
    first, second, third = (new_secret() for _ in range(3))
    during = rotated([first], second, NOW, DAY)

    longer = rotated(during, third, NOW + HOUR, LONGEST_OVERLAP)
    shorter = rotated(during, third, NOW + HOUR, HOUR)

    assert [secret.value for secret in longer] == [third.value, second.value, first.value]
    assert [secret.expires_at for secret in longer] == [None, NOW + HOUR + LONGEST_OVERLAP, NOW + DAY]
    assert [secret.expires_at for secret in shorter] == [None, NOW + 2 * HOUR, NOW + 2 * HOUR]


@given(st.lists(st.tuples(st.timedeltas(timedelta(0), 2 * DAY), st.sampled_from(OVERLAPS)), max_size=9))
def test_whatever_the_rotations_the_newest_comes_first_and_no_end_is_ever_put_off(
    rotations: list[tuple[timedelta, timedelta]],
) -> None:
    secrets: tuple[SigningSecret, ...] = (new_secret(),)
    now = NOW
    for pause, overlap in rotations:
        now += pause
        new = new_secret()
        ends = {secret.value: secret.expires_at or now + overlap for secret in secrets}
        secrets = rotated(secrets, new, now, overlap)

        assert secrets[0] == new
        for secret in secrets[1:]:
            assert secret.expires_at
            assert now < secret.expires_at <= min(ends[secret.value], now + overlap)


def test_ten_secrets_can_be_current_at_once_and_no_more_until_one_ends() -> None:
    secrets: tuple[SigningSecret, ...] = ()
    for number in range(10):
        secrets = rotated(secrets, new_secret(), NOW + number * HOUR, DAY)
    assert len(secrets) == MOST_SECRETS == 10

    before_one_ends = NOW + HOUR + DAY - INSTANT
    with pytest.raises(TooManySecrets, match="at most 10"):
        rotated(secrets, new_secret(), before_one_ends, DAY)
    assert len(rotated(secrets, new_secret(), before_one_ends + INSTANT, DAY)) == MOST_SECRETS
    # A rotation that ends them all at once is always possible.
    assert len(rotated(secrets, new_secret(), before_one_ends, timedelta(0))) == 1
