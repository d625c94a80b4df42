"""The expected payloads of each format, for each type of event and for groups: tests/unit/data/payloads/<format>/.

`python -m tests.support.golden_payloads` writes them; the diff shows whether they are correct. Characters outside ASCII
are escaped, so that the diff shows invisible ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupUnfinished,
    Event,
    parse_message,
)
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
    "unfinished": ("backup-unfinished.json", {}),
    "stale": ("backup-stale.json", {}),
    "failure-hostile": ("backup-failed.json", HOSTILE),
    "missing-hostile": ("backup-missed.json", HOSTILE),
    "success-hostile": ("backup-success.json", HOSTILE),
    "recovered-hostile": ("backup-recovered.json", HOSTILE),
    "unfinished-hostile": ("backup-unfinished.json", HOSTILE),
    "stale-hostile": ("backup-stale.json", HOSTILE),
    "failure-invisible": ("backup-failed.json", INVISIBLE),
}
# Groups of three events: one with ordinary names, and two with hostile ones.
GROUPED: dict[str, list[tuple[str, dict[str, str]]]] = {
    case: [(name, {}), (name, HOSTILE | {"serverPolicyId": "sp-2"}), (name, INVISIBLE | {"serverPolicyId": "sp-3"})]
    for case, name in (
        ("failures-grouped", "backup-failed.json"),
        ("misses-grouped", "backup-missed.json"),
        ("recoveries-grouped", "backup-recovered.json"),
    )
}


def cases_of(format_name: str) -> list[str]:
    """Return the names of the format's cases."""
    return [*CASES, *(GROUPED if format_named(format_name).grouped else ())]


def example(name: str, **changes: Any) -> Event:
    """Return the event in a file of events/, with some JSON fields changed."""
    record = json.loads((EVENTS / name).read_text(encoding="utf-8"))["Records"][0]
    message = parse_message(json.dumps(json.loads(record["body"]) | changes))
    assert isinstance(message, BackupFinished | BackupMissed | BackupUnfinished | BackupStale | BackupRecovered)
    return message


def golden(format_name: str, case: str) -> str:
    """Return the content that the case's file must have."""
    if case in GROUPED:
        # A group is of one account.
        account = example(GROUPED[case][0][0]).account_alias
        events = [example(name, **changes | {"accountAlias": account}) for name, changes in GROUPED[case]]
        body = render_all(format_name, events)
    else:
        name, changes = CASES[case]
        body = render(format_name, example(name, **changes))
    return json.dumps(json.loads(body), indent=2) + "\n"


def path_of(format_name: str, case: str) -> Path:
    """Return the path of the case's file."""
    return GOLDEN / format_name / f"{case}.json"


def write_all() -> None:
    """Write all files, and remove those of formats and cases that no longer exist."""
    for old in GOLDEN.glob("*/*.json"):
        old.unlink()
    for format_name in FORMATS:
        (GOLDEN / format_name).mkdir(parents=True, exist_ok=True)
        for case in cases_of(format_name):
            path_of(format_name, case).write_text(golden(format_name, case), encoding="utf-8")


if __name__ == "__main__":
    write_all()
