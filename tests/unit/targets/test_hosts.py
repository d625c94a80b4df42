"""The check of a target's host when the target is saved."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.posting.address_guard import Address
from backup_webhooks.targets.hosts import TargetHosts

URL = "https://hooks.example.com:8443/backups"


def leading_to(*addresses: str) -> TargetHosts:
    def resolver(host: str, port: int) -> Sequence[Address]:
        assert (host, port) == ("hooks.example.com", 8443)
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]

    return TargetHosts(allow_private_targets=False, resolver=resolver)


def failing_with(error: Exception) -> TargetHosts:
    def resolver(host: str, port: int) -> Sequence[Address]:
        raise error

    return TargetHosts(allow_private_targets=False, resolver=resolver)


def test_a_host_on_the_public_internet_is_taken() -> None:
    leading_to("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946").check(URL)


@pytest.mark.parametrize(
    "addresses", [("10.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("fd00::1",), ("169.254.169.254",)]
)
def test_a_host_with_any_other_address_is_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(InvalidTarget, match=r"targetUri: .*not on the public internet"):
        leading_to(*addresses).check(URL)


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidTarget, match=r"targetUri: .*spelt right"):
        failing_with(socket.gaierror(socket.EAI_NONAME, "no such name")).check(URL)


def test_a_name_that_can_be_none_is_refused() -> None:
    with pytest.raises(InvalidTarget, match="targetUri: "):
        failing_with(UnicodeError("label empty or too long")).check(URL)


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError("no network")])
def test_a_name_that_can_not_be_looked_up_just_now_is_taken(error: Exception) -> None:
    """The host is checked again whenever it is dialled. A fault of the service must not stop a customer from saving."""
    failing_with(error).check(URL)


def test_on_a_local_stack_all_hosts_are_taken_and_no_other_urls() -> None:
    hosts = TargetHosts(allow_private_targets=True)

    hosts.check("http://127.0.0.1:8001/services")
    with pytest.raises(InvalidTarget):
        hosts.check("ftp://127.0.0.1/")
