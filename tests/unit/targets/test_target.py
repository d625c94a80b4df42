"""The URLs that a target may have, its id and its event types."""

from __future__ import annotations

import re

import pytest
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.posting.target_url import MAX_URL_LENGTH, normalised, parse_target_url, url_key
from backup_webhooks.targets.target import DeliveryMode, Target, check_target
from hypothesis import given
from hypothesis import strategies as st

HOOK = "https://hooks.example.com/backups"


def target() -> Target:
    return Target("TEST", [EventType.FAILURE], HOOK)


def refusal(url: str) -> str:
    with pytest.raises(InvalidTarget) as caught:
        parse_target_url(url)
    assert caught.value.field == "targetUri"
    assert str(caught.value).startswith("targetUri: ")
    assert len(str(caught.value)) < 300
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        (HOOK, "https", "hooks.example.com", None),
        ("http://hooks.example.com", "http", "hooks.example.com", None),
        ("HTTPS://Hooks.Example.COM/Backups?a=b&c=%20#part", "https", "hooks.example.com", None),
        ("https://hooks.example.com:8443/", "https", "hooks.example.com", 8443),
        ("https://hooks.example.com:1/", "https", "hooks.example.com", 1),
        ("https://hooks.example.com:65535/", "https", "hooks.example.com", 65535),
        ("https://hooks.example.com./", "https", "hooks.example.com.", None),
        ("https://xn--bcher-kva.example/", "https", "xn--bcher-kva.example", None),
        ("https://under_score.example/", "https", "under_score.example", None),
        ("https://93.184.216.34/", "https", "93.184.216.34", None),
        ("https://[2606:4700::1111]:8443/", "https", "[2606:4700::1111]", 8443),
        ("https://hooks.example.com/?mail=a@b.example", "https", "hooks.example.com", None),
        ("https://hooks.example.com/a@b:c", "https", "hooks.example.com", None),
        # Their addresses are checked when they are dialled.
        ("http://localhost/", "http", "localhost", None),
        ("http://2130706433/", "http", "2130706433", None),
    ],
)
def test_http_and_https_urls_are_allowed(url: str, scheme: str, host: str, port: int | None) -> None:
    parts = parse_target_url(url)

    assert (parts.scheme, parts.host, parts.port) == (scheme, host, port)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with https:// or http://"),
        ("hooks.example.com/backups", "must begin with https:// or http://"),
        ("//hooks.example.com/backups", "must begin with https:// or http://"),
        ("ftp://hooks.example.com/", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with https:// or http://"),
        ("gopher://hooks.example.com/", "must begin with https:// or http://"),
        ("javascript:alert(1)", "must begin with https:// or http://"),
        ("mailto:a@b.example", "must begin with https:// or http://"),
        ("https://", "host is missing"),
        ("https:///backups", "host is missing"),
        ("https:/hooks.example.com", "host is missing"),
        ("https:hooks.example.com", "host is missing"),
        ("https://:443/", "host is missing"),
        ("https://?a=b", "host is missing"),
        ("https://#part", "host is missing"),
        ("https://user:secret@hooks.example.com/", "user name and password"),
        ("https://user@hooks.example.com/", "user name and password"),
        ("https://:@hooks.example.com/", "user name and password"),
        ("https://hooks.example.com@127.0.0.1/", "user name and password"),
        ("https://hooks.example.com:0/", "1 to 65535"),
        ("https://hooks.example.com:65536/", "not a URL"),
        ("https://hooks.example.com:-1/", "not a URL"),
        ("https://hooks.example.com:http/", "not a URL"),
        ("https://hooks.example.com:443:443/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://[::1]x/", "not a URL"),
        ("https://[hooks]/", "not a URL"),
        ("https://hooks%00.example.com/", "not a URL"),
        ("https://hooks%0d%0a.example.com/", "not a URL"),
        ("https://hooks.example.com\\@127.0.0.1/", "backslash"),
        ("https:\\\\hooks.example.com/", "backslash"),
        ("https://hooks.example.com/a\\b", "backslash"),
        (" https://hooks.example.com/", "printable ASCII"),
        ("https://hooks.example.com/ ", "printable ASCII"),
        ("https://hooks.example.com/a b", "printable ASCII"),
        ("https://hooks.example.com/\n", "printable ASCII"),
        ("https://hooks.example.com/\r\nx-header: 1", "printable ASCII"),
        ("https://hooks\t.example.com/", "printable ASCII"),
        ("https://hooks.example.com/\x00", "printable ASCII"),
        ("https://hooks.example.com/\x7f", "printable ASCII"),
        ("https://bücher.example/", "xn--"),
        ("https://127。0。0。1/", "printable ASCII"),
        ("https://hooks.example.com/💾", "percent-encode"),
        ("https://hooks.example.com/\ud800", "printable ASCII"),
    ],
)
def test_other_texts_are_refused_with_what_is_allowed(url: str, reason: str) -> None:
    assert reason in refusal(url)


def test_an_empty_user_name_is_refused_too() -> None:
    refusal("https://@hooks.example.com/")


def test_the_longest_url_is_allowed_and_one_character_more_is_refused() -> None:
    longest = HOOK + "x" * (MAX_URL_LENGTH - len(HOOK))

    assert parse_target_url(longest)
    assert str(MAX_URL_LENGTH) in refusal(longest + "x")


def test_a_url_of_300_kib_is_refused() -> None:
    refusal("https://" + "x" * 300 * 1024)


def test_a_refusal_does_not_repeat_the_url() -> None:
    assert "secret" not in refusal("https://user:secret@hooks.example.com/")


@given(st.text(st.characters()) | st.text(st.sampled_from("htps:/.@[]%\\?#0:1f a")).map("https://{}".format))
def test_any_text_is_a_target_with_a_host_or_is_refused(url: str) -> None:
    try:
        parts = parse_target_url(url)
    except InvalidTarget as error:
        assert error.field == "targetUri"
    else:
        assert parts.scheme in ("http", "https")
        assert parts.host
        assert not parts.auth


@pytest.mark.parametrize(
    ("url", "one_spelling"),
    [
        (HOOK, HOOK),
        ("HTTPS://Hooks.Example.com:443/backups#top", HOOK),
        ("http://hooks.example.com:80", "http://hooks.example.com"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443/"),
        ("http://hooks.example.com:443/", "http://hooks.example.com:443/"),
        ("https://hooks.example.com/Backups/?a=B&c=%2f", "https://hooks.example.com/Backups/?a=B&c=%2F"),
        ("https://hooks.example.com/a/../b/./c", "https://hooks.example.com/b/c"),
        ("https://[2606:4700::ABCD]:443/x", "https://[2606:4700::abcd]/x"),
        ("https://hooks.example.com?a=b", "https://hooks.example.com?a=b"),
    ],
)
def test_a_url_has_one_spelling(url: str, one_spelling: str) -> None:
    assert normalised(url) == one_spelling
    assert normalised(one_spelling) == one_spelling


def test_an_empty_path_is_the_root() -> None:
    assert url_key("https://hooks.example.com") == url_key("HTTPS://hooks.example.com:443/")


@pytest.mark.parametrize("url", [HOOK + "?", HOOK + "/", HOOK + "?x=%20", HOOK.replace("https", "http"), HOOK + "S"])
def test_urls_that_may_be_two_stay_two(url: str) -> None:
    assert url_key(url) != url_key(HOOK)


@pytest.mark.parametrize("url", ["https://hooks.example.com/100%", HOOK + "?q=%zz", HOOK + "%2"])
def test_a_stray_percent_sign_is_refused(url: str) -> None:
    assert "%25" in refusal(url)


def test_targets_have_ids_of_their_own() -> None:
    assert len({target().target_id for _ in range(100)}) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", target().target_id) for _ in range(100))


def test_a_target_without_event_types_is_refused() -> None:
    with pytest.raises(InvalidTarget, match=r"events: at least one is required; allowed: Backup\.Failure, "):
        check_target(Target("TEST", [], HOOK))


def test_a_target_is_sent_text_once_unless_its_owner_chose_otherwise() -> None:
    assert (target().format, target().delivery, target().enabled) == ("text", DeliveryMode.ONCE, True)
