"""The files of events/: each has an expectation."""

from __future__ import annotations

from tests.sam_local.expectations import EXPECTED, events


def test_each_event_file_has_an_expected_result_of_invoking_a_function_with_it() -> None:
    assert sorted(EXPECTED) == events()
