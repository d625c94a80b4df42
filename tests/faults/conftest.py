"""One AWS and one endpoint for all worlds of a run, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.receiver import Receiver
from local.template import Template
from tests.faults.aws import Aws, faulty_aws


@pytest.fixture(scope="session")
def aws(template: Template) -> Iterator[Aws]:
    with faulty_aws(template) as aws:
        yield aws


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
