"""The settings of `make run`: variables of make, which `python -m local run` takes as words such as `PORT=9000`."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# One after the other, from the page's on: the page, the receiver, AWS, the sign-in, e-mail, AWS Backup.
PORTS = 6
_FASTEST = 86_400


class InvalidSetting(ValueError):
    """A setting that cannot be used. The text names it and says what is allowed."""


@dataclass(frozen=True)
class RunSettings:
    """The settings of one run.

    `once`: end after the samples. `quiet`: simulate no backups. `listen`: the address at which all servers listen.
    `speed`: how many times as fast as real time the schedules' clock runs. `port`: the page's, which the others follow.
    """

    once: bool = False
    quiet: bool = False
    listen: str = "127.0.0.1"
    speed: float = 1.0
    port: int | None = None


def parse_settings(words: Sequence[str]) -> RunSettings:
    """Return the settings in words such as `PORT=9000`, where an empty value is the default. Raise `InvalidSetting`."""
    settings: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in _READERS:
            raise InvalidSetting(f"{name}: there is no such setting. Allowed: {', '.join(_READERS)}, as NAME=VALUE.")
        if value:
            reader, allowed = _READERS[name]
            try:
                settings[name.lower()] = reader(value)
            except ValueError as error:
                raise InvalidSetting(f"{name}={value}: {str(error) or 'not allowed'}. Allowed: {allowed}.") from None
    return RunSettings(**settings)


def _flag(value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError
    return value == "1"


def _speed(value: str) -> float:
    try:
        speed = float(value)
    except ValueError:
        raise ValueError("not a number") from None
    if not 1 <= speed <= _FASTEST:
        raise ValueError
    return speed


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ValueError("not a whole number")
    if not 1 <= (port := int(value)) <= _LAST_PORT:
        raise ValueError
    return port


def _address(value: str) -> str:
    if value == "localhost":
        return "127.0.0.1"
    try:
        address = str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError("not an IPv4 address") from None
    try:
        socket.create_server((address, 0)).close()
    except OSError as error:
        reason = "not an address of this machine" if error.errno == errno.EADDRNOTAVAIL else str(error.strerror)
        raise ValueError(reason) from None
    return address


_LAST_PORT = 65_536 - PORTS
# How each is read, and what is allowed.
_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "ONCE": (_flag, "1 (end after the samples) or 0"),
    "LISTEN": (_address, "an IPv4 address of this machine, such as 172.17.0.1, without a port"),
    "SPEED": (_speed, f"a number from 1 to {_FASTEST}"),
    "PORT": (_port, f"a whole number from 1 to {_LAST_PORT}; the {PORTS - 1} ports after it are taken too"),
    "QUIET": (_flag, "1 (simulate no backups) or 0"),
}
