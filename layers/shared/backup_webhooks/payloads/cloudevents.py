"""The format `cloudevents`: CloudEvents 1.0 in structured mode, with the facts of `detailed` as its data.

github.com/cloudevents/spec: `spec.md`, `json-format.md`. An event is told apart by `source` and
`id`, which every target and every attempt have in common. Attributes may not hold Unicode's noncharacters, which names
may. 64 KiB are what each intermediary has to forward; an event here has less than 40, a log of 4 KiB escaped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backup_webhooks.events.messages import Event
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads import Format, detailed

# The reverse of the domain under which the service documents its events.
_TYPE_PREFIX = "io.ctl.simplebackup."
_NONCHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF)) + "]"
)


def payload(event: Event) -> dict[str, Any]:
    """The event. `subject` is the server, by which a receiver may choose."""
    occurred_at = iso_milliseconds(event.occurred_at)
    return {
        "specversion": "1.0",
        "id": _id("#".join((event.account_alias, occurred_at, str(event.event_type), event.subject_id))),
        "source": f"/simple-backup/accounts/{quote(event.account_alias, safe='')}",
        "type": f"{_TYPE_PREFIX}{event.event_type}",
        "subject": _NONCHARACTERS.sub("\ufffd", event.server_id),
        "time": occurred_at,
        "datacontenttype": "application/json",
        "data": detailed.payload(event),
    }


def _id(event: str) -> str:
    return hashlib.sha256(event.encode()).hexdigest()[:32]


def grouped(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Several events, in the batched mode of the JSON format."""
    return list(map(payload, events))


FORMAT = Format(
    payload,
    grouped,
    content_type="application/cloudevents+json",
    list_content_type="application/cloudevents-batch+json",
)
