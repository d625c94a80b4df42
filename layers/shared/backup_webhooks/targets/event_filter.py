"""A target's filter: which of the events of its types are posted to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

from msgspec import Struct

from backup_webhooks.events.messages import Event

# For each field.
MOST_PATTERNS, LONGEST_PATTERN = 20, 500


class EventFilter(Struct, frozen=True):
    """Patterns for the names in an event; a field without patterns lets all pass.

    An event passes if one pattern of each field matches: `policies` the account policy's name or id, `servers` the
    server's id, `storage_regions` the region. `*` stands for any characters and `?` for one. Case makes no difference.
    """

    policies: Sequence[str] = ()
    servers: Sequence[str] = ()
    storage_regions: Sequence[str] = ()

    def passes(self, event: Event) -> bool:
        """Return whether the event is to be posted."""
        return (
            _matches(self.policies, event.account_policy_name, event.account_policy_id)
            and _matches(self.servers, event.server_id)
            and _matches(self.storage_regions, event.storage_region)
        )


def _matches(patterns: Sequence[str], *names: str) -> bool:
    return not patterns or any(_compiled(pattern).match(name.casefold()) for pattern in patterns for name in names)


@lru_cache(maxsize=5000)
def _compiled(pattern: str) -> re.Pattern[str]:
    # A name may hold a bracket, so there are no sets in brackets. `translate` puts each star but the last in an atomic
    # group, so that no pattern is slow.
    return re.compile(translate(pattern.casefold().replace("[", "[[]")))
