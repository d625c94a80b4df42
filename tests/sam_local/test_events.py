"""Each file of events/ through `sam local invoke`."""

from __future__ import annotations

import pytest

from local.messages import EVENTS
from tests.sam_local.expectations import EXPECTED, events
from tests.support.sam_local import invoke
from tests.support.sam_world import World


@pytest.mark.parametrize("name", events())
def test_an_event_has_its_expected_answer_and_effect(name: str, world: World) -> None:
    expected = EXPECTED[name]
    expected.given(world)

    answer = invoke(expected.function, EVENTS / f"{name}.json")

    expected.then(world, answer)
