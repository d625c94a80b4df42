"""What docs/architecture.md says of tables, queues, rights and modules is what the template and the code say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT
from tests.support.markdown import names, sections, tables

PAGE = sections(PROJECT / "docs" / "architecture.md")
DAY = 24 * 60 * 60


@pytest.fixture(scope="module")
def resources() -> Mapping[str, Any]:
    template = yaml_parse((PROJECT / "template.yaml").read_text())
    return {name: one | {"Properties": one.get("Properties", {})} for name, one in template["Resources"].items()}


def of_type(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == kind}


def keys_of(schema: list[dict[str, str]]) -> list[str]:
    return [one["AttributeName"] for one in schema]


def index_of(properties: dict[str, Any]) -> tuple[str, list[str], Any]:
    projection = properties["Projection"]
    return (
        properties["IndexName"],
        keys_of(properties["KeySchema"]),
        projection.get("NonKeyAttributes", projection["ProjectionType"]),
    )


def shown_index(text: str) -> tuple[str, list[str], Any]:
    keys, _, held = text.partition(";")
    name, *of_keys = names(keys)
    return name, of_keys, names(held) or {"keys only": "KEYS_ONLY", "everything": "ALL"}[held.strip(" .")]


def test_tables_have_these_keys_indexes_and_ends(resources: Mapping[str, Any]) -> None:
    (rows,) = tables(PAGE["Tables"])
    shown = {
        row["table"]: (
            names(row["partition key"]) + names(row["sort key"]),
            [shown_index(one) for one in row["index: keys, what is in it"].split(". ") if one],
            names(row["TTL"]),
        )
        for row in rows
    }
    there = {
        name: (
            keys_of(one["KeySchema"]),
            [index_of(index) for index in one.get("GlobalSecondaryIndexes", ())],
            [one["TimeToLiveSpecification"]["AttributeName"]] if "TimeToLiveSpecification" in one else [],
        )
        for name, one in of_type(resources, "AWS::DynamoDB::Table").items()
    }

    assert shown == there


def test_all_tables_can_be_restored_are_encrypted_and_stay(resources: Mapping[str, Any]) -> None:
    for name, one in of_type(resources, "AWS::DynamoDB::Table").items():
        assert resources[name]["DeletionPolicy"] == "Retain", name
        assert one["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert (one["SSESpecification"], one["BillingMode"]) == ({"SSEEnabled": True}, "PAY_PER_REQUEST")


def rights(resources: Mapping[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Table and function → the calls of DynamoDB that it may make there, an index's among them."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for function, one in of_type(resources, "AWS::Serverless::Function").items():
        name = re.sub("(?<!^)(?=[A-Z])", "_", function.removesuffix("Function")).lower()
        (policy,) = resources[one["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement.get("Action", [])
            calls = {one.removeprefix("dynamodb:") for one in ([actions] if isinstance(actions, str) else actions)}
            for table in set(re.findall(r"\w+Table", str(statement.get("Resource")))):
                found[table, name] |= calls
    return dict(found)


def test_functions_have_these_rights_to_tables(resources: Mapping[str, Any]) -> None:
    shown: dict[tuple[str, str], set[str]] = defaultdict(set)
    for table in of_type(resources, "AWS::DynamoDB::Table"):
        _, rows = tables(PAGE[table])
        function = ""
        for row in rows:
            function = row["function"] or function
            shown[table, function] |= set(row["calls"].split(", "))

    assert shown == rights(resources)


def test_queues_are_read_like_this(resources: Mapping[str, Any]) -> None:
    rows, senders = tables(PAGE["Queues"])
    queues = of_type(resources, "AWS::SQS::Queue")
    functions = of_type(resources, "AWS::Serverless::Function")
    sources = {
        event["Properties"]["Queue"]["Fn::GetAtt"][0]: event["Properties"]
        for one in functions.values()
        for event in one.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    for row in rows:
        queue, source = queues.pop(row["queue"]), sources.pop(row["queue"])
        (days,) = re.findall(r"^(\d+) days?$", row["kept"])
        assert f"{queue['VisibilityTimeout']} s" == row["invisible"]
        assert queue["MessageRetentionPeriod"] == int(days) * DAY
        assert str(queue["RedrivePolicy"]["maxReceiveCount"]) == row["receives"]
        assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [row["dead letters"], "Arn"]}
        window = source.get("MaximumBatchingWindowInSeconds")
        assert row["a batch"] == f"{source['BatchSize']}" + (f", or what comes within {window} s" if window else "")
        most = source["ScalingConfig"]["MaximumConcurrency"]
        assert names(row["at once"]) == ([most["Ref"]] if isinstance(most, dict) else [])
        assert isinstance(most, dict) or str(most) == row["at once"]
    assert sources == {}
    # What is left are the dead letters.
    assert {one["MessageRetentionPeriod"] for one in queues.values()} == {14 * DAY}
    assert all(name.endswith("DeadLetterQueue") for name in queues)
    sent_to = {queue for row in senders if row["queue"] for queue in row["queue"].split(", ")}
    assert sent_to <= of_type(resources, "AWS::SQS::Queue").keys()


def test_the_picture_has_each_function_queue_and_table(resources: Mapping[str, Any]) -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    (picture,) = re.findall(r"^```mermaid\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    shapes = {
        "functions": re.findall(r"\{\{(\w+)\}\}", picture),
        "queues": re.findall(r"\[\[\"(\w+)\"\]\]", picture),
        "tables": re.findall(r"\[\(\"(\w+)\"\)\]", picture),
    }

    assert sorted(shapes["functions"]) == sorted(path.parent.name for path in PROJECT.glob("functions/*/app.py"))
    assert sorted(shapes["tables"]) == sorted(of_type(resources, "AWS::DynamoDB::Table"))
    read = [row["queue"] for row in tables(PAGE["Queues"])[0]]
    assert sorted(shapes["queues"]) == sorted([*read, "RetryDeadLetterQueue"])
