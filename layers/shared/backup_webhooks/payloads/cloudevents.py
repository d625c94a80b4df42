"""The format `cloudevents`: CloudEvents 1.0 in structured mode, with the facts of `detailed` as its data.

The specification is github.com/cloudevents/spec: `spec.md`, `json-format.md`. `source` and `id` identify an event; all
targets and attempts share them. Names may hold Unicode's noncharacters, but attributes may not. Intermediaries must
forward 64 KiB; an event here has less than 40 KiB, with 4 KiB of escaped backup output.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backup_webhooks.events.messages import Event, policy_mark
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format, detailed

# The reverse of the domain where the backup service documents its events.
_TYPE_PREFIX = "io.ctl.simplebackup."
_NONCHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF)) + "]"
)


def payload(event: Event) -> dict[str, Any]:
    """Return the event. `subject` is the server, so that a receiver can filter by it."""
    occurred_at = iso_milliseconds(event.occurred_at)
    mark = policy_mark(event.subject_id, event.server_policy_id)
    return {
        "specversion": "1.0",
        "id": _id(event.account_alias, occurred_at, str(event.event_type), event.subject_id, mark),
        "source": f"/simple-backup/accounts/{quote(event.account_alias, safe='')}",
        "type": f"{_TYPE_PREFIX}{event.event_type}",
        "subject": _NONCHARACTERS.sub("\ufffd", event.server_id),
        "time": occurred_at,
        "datacontenttype": "application/json",
        "data": detailed.payload(event),
    }


def _id(*parts: str) -> str:
    return hashlib.sha256("#".join(filter(None, parts)).encode()).hexdigest()[:32]


def grouped(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return several events in the batch form of the JSON format."""
    return list(map(payload, events))


FORMAT = Format(
    payload,
    grouped,
    content_type="application/cloudevents+json",
    list_content_type="application/cloudevents-batch+json",
)
