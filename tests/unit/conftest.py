"""Unit tests touch no network: a socket, or a look-up of a name, is an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket

# How long one example takes says nothing on a machine that does other things too.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    disable_socket()
    yield
    enable_socket()
