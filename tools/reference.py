"""docs/reference.md from template.yaml: `make docs` writes it, `make check` compares it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "reference.md"
_DAY = 24 * 60 * 60


def reference() -> str:
    """Return the page."""
    template = yaml_parse((PROJECT / "template.yaml").read_text())
    resources: dict[str, Any] = {
        name: one | {"Properties": one.get("Properties", {})} for name, one in template["Resources"].items()
    }
    lines = [
        "# Reference",
        "Generated from [template.yaml](../template.yaml) by `make docs`. How it fits together: "
        "[architecture.md](architecture.md).",
        "",
        "## Tables",
        "| table | partition key | sort key | index: keys; projection | TTL |",
        "|---|---|---|---|---|",
        *map(_row, _tables(_of_type(resources, "AWS::DynamoDB::Table"))),
        "",
        "## Queues",
        "All are standard queues, encrypted. A message that was received that often goes to the dead-letter queue, "
        "with its age.",
        "",
        "| queue | invisible | kept | receives | dead-letter queue | read by | a batch | batches at once |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, _queues(resources)),
        "",
        "## Rights to tables",
        "`TransactWriteItems` has no right of its own: it needs those of the writes in it.",
        "",
        "| table | function | calls |",
        "|---|---|---|",
        *map(_row, _rights(resources)),
    ]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _of_type(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == kind}


def _keys(schema: list[dict[str, str]]) -> list[str]:
    return [f"`{key['AttributeName']}`" for key in schema]


def _tables(tables: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, table in tables.items():
        partition, *sort = _keys(table["KeySchema"])
        ttl = table.get("TimeToLiveSpecification", {}).get("AttributeName")
        indexes = map(_index, table.get("GlobalSecondaryIndexes", ()))
        yield name, partition, "".join(sort), "<br>".join(indexes), f"`{ttl}`" if ttl else "none"


def _index(index: Mapping[str, Any]) -> str:
    projection = index["Projection"]
    held = ", ".join(f"`{name}`" for name in projection.get("NonKeyAttributes", ())) or projection["ProjectionType"]
    return f"`{index['IndexName']}`: {', '.join(_keys(index['KeySchema']))}; {held}"


def _queues(resources: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    readers = {
        event["Properties"]["Queue"]["Fn::GetAtt"][0]: (_function_name(name), event["Properties"])
        for name, one in _of_type(resources, "AWS::Serverless::Function").items()
        for event in one.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    for name, queue in _of_type(resources, "AWS::SQS::Queue").items():
        kept = f"{queue['MessageRetentionPeriod'] // _DAY} d"
        if name not in readers:
            yield name, "", kept, "", "", "", "", ""
            continue
        function, source = readers[name]
        window = source.get("MaximumBatchingWindowInSeconds")
        most = source["ScalingConfig"]["MaximumConcurrency"]
        redrive = queue["RedrivePolicy"]
        yield (
            name,
            f"{queue['VisibilityTimeout']} s",
            kept,
            str(redrive["maxReceiveCount"]),
            redrive["deadLetterTargetArn"]["Fn::GetAtt"][0],
            function,
            f"{source['BatchSize']}" + (f", or what comes within {window} s" if window else ""),
            f"`{most['Ref']}`" if isinstance(most, dict) else str(most),
        )


def _rights(resources: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    calls: dict[tuple[str, str], set[str]] = {}
    for name, one in _of_type(resources, "AWS::Serverless::Function").items():
        (policy,) = resources[one["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement.get("Action", [])
            for table in set(re.findall(r"\w+Table", str(statement.get("Resource")))):
                named = {
                    action.removeprefix("dynamodb:") for action in ([actions] if isinstance(actions, str) else actions)
                }
                calls.setdefault((table, _function_name(name)), set()).update(named)
    for table, function in sorted(calls):
        yield table, function, ", ".join(sorted(calls[table, function]))


def _function_name(logical_id: str) -> str:
    return re.sub("(?<!^)(?=[A-Z])", "_", logical_id.removesuffix("Function")).lower()


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(reference())
    elif PAGE.read_text() != reference():
        sys.exit("docs/reference.md is not what template.yaml says: make docs writes it")
