"""What each format makes of each kind of notice, and of several: tests/unit/data/payloads/<format>/<case>.json.

`python -m tests.support.golden_payloads` writes them anew; whether they are as they should be is told by the diff.
Characters beyond ASCII are escaped, so that it shows those that one does not see.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backup_webhooks.events.messages import BackupFinished, BackupMissed, BackupRecovered, Event, parse_message
from backup_webhooks.payloads import FORMATS, format_named, render, render_all

GOLDEN = Path(__file__).parents[1] / "unit" / "data" / "payloads"
EVENTS = Path(__file__).parents[2] / "events"

HOSTILE = {
    "accountAlias": "<@U0123456>",
    "serverId": "<!channel> @everyone @here <users/all> **bold** *bold* ~gone~ :fire: &lt;b&gt;",
    "accountPolicyName": "[link](http://evil.example) <http://evil.example|link> <script>x()</script> `code` ||hid||",
    "storageRegion": "_it_ # > - 1. \\*\\ {{DATE(2018-12-20T01:39:38Z, SHORT)}} <at>all</at> https://evil.example",
}
INVISIBLE = {
    "accountAlias": " ",
    "serverId": "שרת 1",
    "accountPolicyName": "\u202egpj.exe\u202c \u200b\u2066zero\u200d width\u2069\ufeff",
    "storageRegion": "\u3000",
}
CASES: dict[str, tuple[str, dict[str, str]]] = {
    "failure": ("backup-failed.json", {}),
    "partial-success": ("backup-partial-success.json", {}),
    "missing": ("backup-missed.json", {}),
    "success": ("backup-success.json", {}),
    "recovered": ("backup-recovered.json", {}),
    "failure-hostile": ("backup-failed.json", HOSTILE),
    "missing-hostile": ("backup-missed.json", HOSTILE),
    "success-hostile": ("backup-success.json", HOSTILE),
    "recovered-hostile": ("backup-recovered.json", HOSTILE),
    "failure-invisible": ("backup-failed.json", INVISIBLE),
}
# Several notices in one message: one that is as usual, and those that are not.
GROUPED: dict[str, list[tuple[str, dict[str, str]]]] = {
    case: [(name, {}), (name, HOSTILE | {"serverPolicyId": "sp-2"}), (name, INVISIBLE | {"serverPolicyId": "sp-3"})]
    for case, name in (
        ("failures-gathered", "backup-failed.json"),
        ("misses-gathered", "backup-missed.json"),
        ("recoveries-gathered", "backup-recovered.json"),
    )
}


def cases_of(format_name: str) -> list[str]:
    """The cases that a format has."""
    return [*CASES, *(GROUPED if format_named(format_name).grouped else ())]


def example(name: str, **changes: Any) -> Event:
    """The notice in one of the sample events, with fields changed."""
    record = json.loads((EVENTS / name).read_text(encoding="utf-8"))["Records"][0]
    message = parse_message(json.dumps(json.loads(record["body"]) | changes))
    assert isinstance(message, BackupFinished | BackupMissed | BackupRecovered)
    return message


def golden(format_name: str, case: str) -> str:
    """What the file of that format and case is to hold."""
    if case in GROUPED:
        # All of them are of one account.
        account = example(GROUPED[case][0][0]).account_alias
        events = [example(name, **changes | {"accountAlias": account}) for name, changes in GROUPED[case]]
        body = render_all(format_name, events)
    else:
        name, changes = CASES[case]
        body = render(format_name, example(name, **changes))
    return json.dumps(json.loads(body), indent=2) + "\n"


def path_of(format_name: str, case: str) -> Path:
    """Where it stands."""
    return GOLDEN / format_name / f"{case}.json"


def write_all() -> None:
    """Write all that there are to be, and remove what is of a format or case that is gone."""
    for old in GOLDEN.glob("*/*.json"):
        old.unlink()
    for format_name in FORMATS:
        (GOLDEN / format_name).mkdir(parents=True, exist_ok=True)
        for case in cases_of(format_name):
            path_of(format_name, case).write_text(golden(format_name, case), encoding="utf-8")


if __name__ == "__main__":
    write_all()
