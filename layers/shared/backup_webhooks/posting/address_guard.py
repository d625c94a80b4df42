"""The address guard: a target may lead only to global unicast addresses of the public internet (design section 5).

The list comes from the IANA registries of special-purpose addresses. `ipaddress.is_global` does not serve: it accepts
addresses that no customer's endpoint has (multicast, 6to4 relays, translation prefixes), and its answers change between
Python versions.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches the local host on Linux
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, also used inside clouds
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local: instance metadata, Lambda's own services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay anycast, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# All global unicast addresses of IPv6. Others are refused because they lie outside: loopback, link-local, site-local,
# unique local, multicast, IPv4-compatible, local NAT64, discard-only …
_GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: benchmarking, ORCHID, AMT … (Teredo is judged before)
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class TargetRefused(Exception):
    """The target's host leads to an address that is not on the public internet."""


type Address = tuple[socket.AddressFamily, str]
Resolver = Callable[[str, int], Sequence[Address]]
"""(host, port) → all addresses that a connection may use, in order of preference. Raises `OSError`."""


def resolve(host: str, port: int) -> Sequence[Address]:
    """Return the system's answer, which also resolves `2130706433`, `0x7f.1` or `127.1`: all are the loopback."""
    return [
        (family, str(address[0]))
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]


def resolve_within(timeout: float, resolver: Resolver, host: str, port: int) -> Sequence[Address]:
    """Return the resolver's answer. Raise `TimeoutError` after `timeout` seconds, or the resolver's error.

    `getaddrinfo` takes no timeout, so it runs in a thread, which may outlive this call.
    """
    answer: Future[Sequence[Address]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(resolver(host, port))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return answer.result(timeout)


def check(addresses: Sequence[Address]) -> None:
    """Raise `TargetRefused` if any address is not public. One such answer makes the name untrustworthy."""
    for _, address in addresses:
        if not is_public(address):
            raise TargetRefused(address)


def is_public(address: str) -> bool:
    """Return whether an address in the resolver's form is global unicast. Embedded IPv4 is judged as IPv4."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _REFUSED_IPV4)
    if embedded := list(_embedded_ipv4(ip)):
        return all(is_public(str(inner)) for inner in embedded)
    return ip in _GLOBAL_UNICAST_IPV6 and not any(ip in network for network in _REFUSED_IPV6)


def _embedded_ipv4(ip: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets to this address would reach."""
    if ip.ipv4_mapped:
        yield ip.ipv4_mapped
    elif ip.sixtofour:
        yield ip.sixtofour
    elif ip.teredo:
        yield from ip.teredo
    elif ip in _NAT64:
        yield IPv4Address(ip.packed[-4:])
