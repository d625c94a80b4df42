"""The addresses that a target may lead to: the edges of each network, and IPv4 inside IPv6."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from backup_webhooks.posting.address_guard import Address, TargetRefused, check, is_public
from hypothesis import given
from hypothesis import strategies as st

PUBLIC_IPV4, PRIVATE_IPV4 = "93.184.216.34", "10.0.0.1"
PUBLIC_IPV6, PRIVATE_IPV6 = "2606:4700::1111", "fd00:ec2::254"

# For each network: the public address just before it, its first and last address, the public address just after it.
IPV4_EDGES = {
    "0.0.0.0/8": (None, "0.0.0.0", "0.255.255.255", "1.0.0.0"),  # noqa: S104 - called, not listened on
    "10.0.0.0/8": ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
    "100.64.0.0/10": ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
    "127.0.0.0/8": ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
    "169.254.0.0/16": ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
    "172.16.0.0/12": ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
    "192.0.0.0/24": ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
    "192.0.2.0/24": ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
    "192.88.99.0/24": ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
    "192.168.0.0/16": ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
    "198.18.0.0/15": ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
    "198.51.100.0/24": ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
    "203.0.113.0/24": ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
    "224.0.0.0/4": ("223.255.255.255", "224.0.0.0", "239.255.255.255", None),
    "240.0.0.0/4": (None, "240.0.0.0", "255.255.255.255", None),
}
_ONES = "ffff:ffff:ffff:ffff:ffff:ffff"
IPV6_EDGES = {
    "below 2000::/3": ("2000::", "::", f"1fff:ffff:{_ONES}", None),
    "above 2000::/3": (f"3fff:ffff:{_ONES}", "4000::", f"ffff:ffff:{_ONES}", None),
    "2001::/23": (f"2000:ffff:{_ONES}", "2001::", f"2001:1ff:{_ONES}", "2001:200::"),
    "2001:db8::/32": (f"2001:db7:{_ONES}", "2001:db8::", f"2001:db8:{_ONES}", "2001:db9::"),
    "2002::/16 of 0.0.0.0/8": (f"2001:ffff:{_ONES}", "2002::", f"2002:ff:{_ONES}", "2002:100::"),
    "2002::/16 of 240.0.0.0/4": (f"2002:dfff:{_ONES}", "2002:f000::", f"2002:ffff:{_ONES}", "2003::"),
    "3fff::/20": (f"3ffe:ffff:{_ONES}", "3fff::", f"3fff:fff:{_ONES}", "3fff:1000::"),
}


def mapped(ip: IPv4Address) -> str:
    return f"::ffff:{ip}"


def mapped_in_hexadecimal(ip: IPv4Address) -> str:
    return IPv6Address(0xFFFF << 32 | int(ip)).compressed


def nat64(ip: IPv4Address) -> str:
    return str(IPv6Address(0x64FF9B << 96 | int(ip)))


def sixtofour(ip: IPv4Address) -> str:
    return str(IPv6Address(0x2002 << 112 | int(ip) << 80 | 1))


def teredo_client(ip: IPv4Address) -> str:
    return _teredo(server=IPv4Address(PUBLIC_IPV4), client=ip)


def teredo_server(ip: IPv4Address) -> str:
    return _teredo(server=ip, client=IPv4Address(PUBLIC_IPV4))


def _teredo(server: IPv4Address, client: IPv4Address) -> str:
    return str(IPv6Address(0x20010000 << 96 | int(server) << 64 | 0xFFFFFFFF ^ int(client)))


type Embedding = Callable[[IPv4Address], str]
EMBEDDINGS: list[Embedding] = [mapped, mapped_in_hexadecimal, nat64, sixtofour, teredo_client, teredo_server]
embeddings = pytest.mark.parametrize("embed", EMBEDDINGS, ids=lambda embed: embed.__name__)
private_ipv4 = st.sampled_from(sorted(IPV4_EDGES)).flatmap(
    lambda network: st.ip_addresses(v=4, network=IPv4Network(network))
)


def ipv4(address: str) -> Address:
    return socket.AF_INET, address


def ipv6(address: str) -> Address:
    return socket.AF_INET6, address


@pytest.mark.parametrize("edges", [*IPV4_EDGES.values(), *IPV6_EDGES.values()], ids=[*IPV4_EDGES, *IPV6_EDGES])
def test_a_network_is_refused_from_its_first_address_to_its_last_and_no_further(
    edges: tuple[str | None, str, str, str | None],
) -> None:
    before, first, last, after = edges

    assert not is_public(first)
    assert not is_public(last)
    assert before is None or is_public(before)
    assert after is None or is_public(after)


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC_IPV4,
        "1.1.1.1",
        "8.8.8.8",
        "100.0.0.1",
        "172.0.0.1",
        "192.0.1.1",
        "198.50.0.1",
        PUBLIC_IPV6,
        "2001:4860:4860::8888",
        "2a00:1450:4001:800::200e",
        "2600::",
        "3ffe::1",
    ],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("0.0.0.0", id="unspecified"),  # noqa: S104 - called, not listened on
        pytest.param("169.254.169.254", id="instance metadata"),
        pytest.param("169.254.170.2", id="container credentials"),
        pytest.param("169.254.100.1", id="link-local"),
        pytest.param("100.100.100.200", id="carrier-grade NAT"),
        pytest.param("192.88.99.1", id="6to4 relay"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="IPv6 unspecified"),
        pytest.param("::1", id="IPv6 loopback"),
        pytest.param("fe80::1", id="IPv6 link-local"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("feff::1", id="end of site-local"),
        pytest.param("fc00::1", id="unique local"),
        pytest.param("fd00:ec2::254", id="IPv6 instance metadata"),
        pytest.param("ff02::1", id="IPv6 multicast"),
        pytest.param("ff0e::1", id="IPv6 global multicast"),
        pytest.param("::127.0.0.1", id="IPv4-compatible private"),
        pytest.param("::93.184.216.34", id="IPv4-compatible public"),
        pytest.param("::ffff:0:93.184.216.34", id="IPv4-translated"),
        pytest.param("64:ff9b:1::93.184.216.34", id="local NAT64"),
        pytest.param("64:ff9b::1:5db8:d822", id="beside NAT64"),
        pytest.param("100::1", id="discard-only"),
        pytest.param("2001:2::1", id="IPv6 benchmarking"),
        pytest.param("2001:10::1", id="ORCHID"),
        pytest.param("2001:20::1", id="ORCHIDv2"),
        pytest.param("2001:db8::1", id="IPv6 documentation"),
        pytest.param("3fff::1", id="IPv6 documentation, the newer"),
        pytest.param("5f00::1", id="segment routing"),
    ],
)
def test_an_address_outside_global_unicast_is_refused(address: str) -> None:
    assert not is_public(address)


@embeddings
@pytest.mark.parametrize("address", [PUBLIC_IPV4, "1.0.0.0", "223.255.255.255"])
def test_ipv6_that_leads_to_a_public_ipv4_address_is_allowed(embed: Embedding, address: str) -> None:
    assert is_public(embed(IPv4Address(address)))


@embeddings
@pytest.mark.parametrize("edges", IPV4_EDGES.values(), ids=IPV4_EDGES)
def test_ipv6_that_leads_to_the_edge_of_a_private_ipv4_network_is_judged_as_ipv4(
    embed: Embedding, edges: tuple[str | None, str, str, str | None]
) -> None:
    before, first, last, after = edges

    assert not is_public(embed(IPv4Address(first)))
    assert not is_public(embed(IPv4Address(last)))
    assert before is None or is_public(embed(IPv4Address(before)))
    assert after is None or is_public(embed(IPv4Address(after)))


@given(ip=private_ipv4, embed=st.sampled_from(EMBEDDINGS))
def test_every_private_ipv4_address_is_refused_as_it_is_and_inside_ipv6(ip: IPv4Address, embed: Embedding) -> None:
    assert not is_public(str(ip))
    assert not is_public(embed(ip))


@given(ip=st.ip_addresses(v=4), embed=st.sampled_from(EMBEDDINGS))
def test_any_ipv4_address_is_judged_alike_as_it_is_and_inside_ipv6(ip: IPv4Address, embed: Embedding) -> None:
    listed = any(ip in IPv4Network(network) for network in IPV4_EDGES)

    assert is_public(str(ip)) is is_public(embed(ip)) is not listed


@given(st.ip_addresses(v=6).filter(lambda ip: int(ip) >> 125 != 1))
def test_ipv6_outside_2000_3_is_refused_unless_it_leads_to_public_ipv4(ip: IPv6Address) -> None:
    assert not is_public(str(ip)) or ip.ipv4_mapped or str(ip).startswith("64:ff9b::")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("fe80::1%eth0", False),
        ("::1%lo", False),
        ("::ffff:127.0.0.1%1", False),
        (f"{PUBLIC_IPV6}%eth0", True),
    ],
)
def test_a_scope_id_changes_nothing(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_with_public_addresses_only_passes() -> None:
    check([ipv4(PUBLIC_IPV4), ipv6(PUBLIC_IPV6), ipv4("1.1.1.1")])


@pytest.mark.parametrize(
    "addresses",
    [
        [ipv4(PUBLIC_IPV4), ipv4(PRIVATE_IPV4)],
        [ipv4(PRIVATE_IPV4), ipv4(PUBLIC_IPV4)],
        [ipv6(PUBLIC_IPV6), ipv6(PRIVATE_IPV6)],
        [ipv6(PUBLIC_IPV6), ipv4(PRIVATE_IPV4)],
        [ipv4(PUBLIC_IPV4), ipv6(f"::ffff:{PRIVATE_IPV4}")],
        [*[ipv4(PUBLIC_IPV4)] * 50, ipv4("127.0.0.1")],
        [ipv4(PRIVATE_IPV4)],
    ],
    ids=str,
)
def test_one_address_that_is_not_public_refuses_the_name(addresses: list[Address]) -> None:
    with pytest.raises(TargetRefused):
        check(addresses)
