"""Headers that a customer adds to a target's posts: the allowed ones, none of which replaces the service's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import parse_headers

import pytest
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.targets.custom_headers import LONGEST_NAME, LONGEST_VALUE, MOST_HEADERS, check_headers
from backup_webhooks.targets.signing import new_secret
from backup_webhooks.targets.target import Target, check_target
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2018, 12, 20, 17, 0, 6, tzinfo=UTC)
SECRET = "hunter2"
OUR_HEADERS = ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]
RESERVED = [
    *OUR_HEADERS,
    *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"),
    *("host", "expect", "accept-encoding", "content-length", "content-encoding", "content-anything", "content-"),
    *("proxy-authorization", "proxy-connection", "proxy-", "webhook-anything", "webhook-"),
]
# Some begin like a reserved name, or contain one.
ALLOWED = [
    *(
        "authorization",
        "Authorization",
        "X-API-KEY",
        "x",
        "0",
        "-",
        "!#$%&'*+-.^_`|~09azAZ",
        "x-host",
        "x-content-type",
    ),
    *("hosts", "contents", "content", "webhook", "proxy", "tea", "connection-id", "upgrade-insecure-requests"),
]


def target(headers: Mapping[str, str]) -> Target:
    return Target("TEST", [EventType.FAILURE], "https://hooks.example.com/", headers=headers, secrets=[new_secret()])


def posted(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a post to a target with these headers."""
    delivery = Delivery(
        account="TEST",
        event_type=EventType.FAILURE,
        target_id=target(headers).target_id,
        occurred_at=Timestamp.parse("2018-12-20T01:39:38Z"),
        subject_id="3f68fa31-731e-4c77-bbc1-8892ec8667e4",
        body="{}",
    )
    return delivery.headers(target(headers), b"{}", NOW)


def refusal(headers: Mapping[str, str]) -> InvalidTarget:
    with pytest.raises(InvalidTarget) as caught:
        check_headers(headers)
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    return caught.value


@pytest.mark.parametrize("name", ALLOWED)
def test_any_token_that_is_not_reserved_is_a_name(name: str) -> None:
    check_headers({name: SECRET})


@pytest.mark.parametrize(
    "value", ["x", "Bearer abc.def-ghi==", "a b", "a  b", "~!", '"quoted", more; q=0.5', "a: b", ":"]
)
def test_printable_ascii_is_a_value(value: str) -> None:
    check_headers({"authorization": value})


def test_no_headers_are_allowed() -> None:
    check_headers({})


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title], ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused_in_any_case(name: str, change: Callable[[str], str]) -> None:
    name = change(name)
    error = refusal({"authorization": SECRET, name: SECRET})

    assert error.field == f"headers['{name}']"
    assert "not allowed" in error.reason


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "x y", " x", "x ", "x:", ":authority", "x\t", "x\x00", "x\x7f"),
        *("x\r\ny", "x: y\r\nwebhook-id", "x\r", "x\n", "\nx"),
        *("bücher", "x\u212a", "x\ud800", "x\xa0", "\uff58"),
        *("x(y)", "x,y", "x/y", "x;y", "x@y", 'x"y', "x\\y", "[x]", "{x}"),
    ],
    ids=ascii,
)
def test_anything_but_a_token_is_refused_as_a_name(name: str) -> None:
    error = refusal({"authorization": SECRET, name: SECRET})

    assert error.field == f"headers[{name!a}]"
    assert "letters, digits and" in error.reason


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", f" {SECRET}", f"{SECRET} "),
        *(f"{SECRET}\r\nwebhook-id: forged", f"{SECRET}\r\n\r\nGET / HTTP/1.1", f"{SECRET}\r\n folded"),
        *(f"{SECRET}\r", f"{SECRET}\n", f"\n{SECRET}", f"{SECRET}\x00", f"{SECRET}\tx", f"{SECRET}\x1b[0m"),
        *(f"{SECRET}\x7f", f"{SECRET}\x85", f"{SECRET}é", f"{SECRET}\u2028", f"{SECRET}💾", f"{SECRET}\ud800"),
    ],
    ids=ascii,
)
def test_anything_else_is_refused_as_a_value_and_not_repeated(value: str) -> None:
    error = refusal({"x-first": SECRET, "authorization": value})

    assert error.field == "headers['authorization']"
    assert "printable ASCII" in error.reason


def test_a_name_that_is_given_twice_is_refused_whatever_its_case() -> None:
    error = refusal({"authorization": SECRET, "x-other": SECRET, "AUTHORIZATION": SECRET})

    assert error.field == "headers['AUTHORIZATION']"
    assert "twice" in error.reason


def test_ten_headers_are_the_most() -> None:
    ten = {f"x-{number}": SECRET for number in range(MOST_HEADERS)}
    check_headers(ten)

    error = refusal(ten | {"x-one-more": SECRET})
    assert MOST_HEADERS == 10
    assert (error.field, error.reason) == ("headers", "at most 10 are allowed")


def test_a_name_of_100_characters_is_the_longest_and_no_longer_one_is_repeated() -> None:
    check_headers({"x" * LONGEST_NAME: SECRET})

    assert LONGEST_NAME == 100
    assert refusal({"x" * 101: SECRET}).field == f"headers['{'x' * 100}']"
    assert refusal({"x" * 100_000: SECRET}).field == f"headers['{'x' * 100}']"


def test_a_value_of_500_characters_is_the_longest() -> None:
    check_headers({"x": "y" * LONGEST_VALUE})

    assert LONGEST_VALUE == 500
    assert refusal({"x": SECRET + "y" * (501 - len(SECRET))}).field == "headers['x']"


@given(
    st.dictionaries(
        st.text(st.sampled_from("xX-:\r\n\0\t é")) | st.sampled_from(RESERVED),
        st.text(st.sampled_from("y~:\r\n\0\t é,")),
        max_size=3,
    )
)
def test_a_receiver_reads_what_is_allowed_as_it_was_written_and_nothing_besides(headers: dict[str, str]) -> None:
    try:
        check_headers(headers)
    except InvalidTarget:
        return
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    assert parse_headers(io.BytesIO(f"{lines}\r\n".encode("latin-1"))).items() == list(headers.items())


def test_a_target_is_checked_with_its_headers() -> None:
    check_target(target({"authorization": SECRET}))

    with pytest.raises(InvalidTarget, match="webhook-id"):
        check_target(target({"webhook-id": SECRET}))


def test_a_post_carries_the_targets_headers_as_they_were_set_beside_ours() -> None:
    headers = posted({"Authorization": "Bearer abc", "x-api-key": SECRET})

    assert headers["Authorization"] == "Bearer abc"
    assert headers["x-api-key"] == SECRET
    assert sorted(headers) == sorted(["Authorization", "x-api-key", *OUR_HEADERS])


def test_none_replaces_the_services_own_even_if_it_was_stored_unchecked() -> None:
    headers = posted(dict.fromkeys(OUR_HEADERS, "forged"))

    assert sorted(headers) == sorted(OUR_HEADERS)
    assert "forged" not in headers.values()


def test_headers_are_not_shown_with_their_target() -> None:
    assert SECRET not in f"{target({'authorization': SECRET})!r} {target({SECRET: 'x'})}"
