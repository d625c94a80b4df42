"""Backup output: always text, the end of long output, and never a reason to refuse a message."""

from __future__ import annotations

import json

import pytest
from backup_webhooks.events.backup_output import KEPT_BYTES, BackupOutput
from backup_webhooks.events.messages import BackupFinished, encode_message, parse_message
from hypothesis import given
from hypothesis import strategies as st

from tests.support.messages import finished


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"one\ntwo\tthree\n", "one\ntwo\tthree"),
        ("für 3 € 🗄".encode(), "für 3 € 🗄"),
        (b"caf\xe9", "caf�"),
        (b"10%\r20%\r\ndone", "10%\n20%\ndone"),
        (b"\x1b[31mred\x1b[0m \x00\x07\x7f!", "[31mred[0m !"),
        ("a\x85b￾c\uffff".encode(), "abc"),
        (b"\n\n  indented\n\n", "  indented"),
        (b"\x00\x01", ""),
        ("text", "text"),
        ("\ud800lone", "?lone"),
        (b"", ""),
        (None, ""),
        (7, ""),
        ({"a": "b"}, ""),
        (["x"], ""),
    ],
)
def test_output_is_the_text_that_can_be_shown(content: object, kept: str) -> None:
    assert BackupOutput.of(content) == kept


def test_long_output_keeps_its_end_which_has_the_error() -> None:
    output = BackupOutput.of(b"begin " + b"x" * 10_000 + b" the error")

    assert output.startswith("…x")
    assert output.endswith(" the error")
    assert len(output.encode()) == KEPT_BYTES


def test_output_that_just_fits_is_kept_whole() -> None:
    assert BackupOutput.of(b"x" * KEPT_BYTES) == "x" * KEPT_BYTES
    assert BackupOutput.of(b"x" * (KEPT_BYTES + 1)).startswith("…")


@pytest.mark.parametrize("shift", range(4))
def test_it_is_never_cut_within_a_character(shift: int) -> None:
    output = BackupOutput.of("🗄".encode() * 3000 + b"x" * shift)

    assert set(output) <= set("…🗄x")
    assert KEPT_BYTES - 4 < len(output.encode()) <= KEPT_BYTES


def test_long_empty_output_is_cut_too() -> None:
    assert BackupOutput.of(b"\xff" * 6_000_000).encode()[:3] == "…".encode()
    assert BackupOutput.of(b"\x00" * 6_000_000) == "…"
    assert BackupOutput.of(b"\x80" * 6_000_000) == "…"


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_output_becomes_printable_and_bounded_and_then_stays(content: object) -> None:
    output = BackupOutput.of(content)

    assert all(character in "\n\t" or character >= " " for character in output)
    assert len(output.encode()) <= KEPT_BYTES
    assert BackupOutput.of(str(output)) == output


@pytest.mark.parametrize("output", [7, ["a"], {"a": [1]}, True, 1.5, None, ""])
def test_a_message_is_accepted_with_any_output(output: object) -> None:
    message = parse_message(finished("TEST", log=output))

    assert isinstance(message, BackupFinished)
    assert not message.output


def test_a_foreign_senders_output_is_cut_and_the_message_taken() -> None:
    message = parse_message(finished("TEST", log="\u0000" + "x" * 200_000 + "\rthe error"))

    assert isinstance(message, BackupFinished)
    assert message.output is not None
    assert len(message.output.encode()) == KEPT_BYTES
    assert message.output.endswith("x\nthe error")


def test_a_message_with_output_can_be_sent_on() -> None:
    message = parse_message(finished("TEST", log="für 3 €"))

    assert json.loads(encode_message(message))["log"] == "für 3 €"
    assert parse_message(encode_message(message)) == message
