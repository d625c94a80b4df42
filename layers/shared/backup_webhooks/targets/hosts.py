"""The check of a target's host when its customer saves it, so that the customer sees a refusal at once."""

from __future__ import annotations

import socket

from msgspec import Struct

from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.posting import address_guard
from backup_webhooks.posting.address_guard import Resolver, TargetRefused
from backup_webhooks.posting.target_url import DEFAULT_PORTS, parse_target_url

_RESOLVE_SECONDS = 5


class TargetHosts(Struct, frozen=True):
    """Checks hosts. `allow_private_targets`: accepts every host (local stacks only). `resolver`: tests replace it."""

    allow_private_targets: bool
    resolver: Resolver = address_guard.resolve

    def check(self, url: str) -> None:
        """Raise `InvalidTarget` for an invalid URL, or one whose host does not lead to the public internet.

        A name whose lookup fails temporarily is accepted: it is checked again whenever it is dialled.
        """
        parts = parse_target_url(url)
        if self.allow_private_targets:
            return
        host = str(parts.host).strip("[]")
        port = parts.port or DEFAULT_PORTS[str(parts.scheme)]
        try:
            address_guard.check(address_guard.resolve_within(_RESOLVE_SECONDS, self.resolver, host, port))
        except TargetRefused:
            raise InvalidTarget(
                "targetUri", "the host leads to an address that is not on the public internet, where it must be"
            ) from None
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise InvalidTarget("targetUri", "the host's name leads nowhere: is it spelt right?") from None
        except UnicodeError:
            raise InvalidTarget(
                "targetUri", "the host's name is not valid: a part of it is empty or too long"
            ) from None
        except OSError:
            pass
