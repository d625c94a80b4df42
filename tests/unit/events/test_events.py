"""The files of events/: none is there of which nobody knows what it is for."""

from __future__ import annotations

from tests.sam_local.expectations import EXPECTED, events


def test_of_each_event_it_is_said_what_invoking_a_function_with_it_must_do() -> None:
    assert sorted(EXPECTED) == events()
