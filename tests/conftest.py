"""The stack that the integration and artefact tests share: moto keeps one world a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack, embedded
from local.template import Template, translate


@pytest.fixture(scope="session")
def template() -> Template:
    return translate()


@pytest.fixture(scope="session")
def stack(template: Template) -> Iterator[Stack]:
    with embedded(template) as stack:
        yield stack
