"""docs/architecture.md shows the template's functions, queues and tables, and the package's rooms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT
from tests.support.markdown import names, sections, tables

PAGE = sections(PROJECT / "docs" / "architecture.md")


@pytest.fixture(scope="module")
def resources() -> Mapping[str, Any]:
    template = yaml_parse((PROJECT / "template.yaml").read_text())
    return {name: one | {"Properties": one.get("Properties", {})} for name, one in template["Resources"].items()}


def of_type(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == kind}


def test_all_tables_can_be_restored_are_encrypted_and_stay(resources: Mapping[str, Any]) -> None:
    for name, one in of_type(resources, "AWS::DynamoDB::Table").items():
        assert resources[name]["DeletionPolicy"] == "Retain", name
        assert one["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert (one["SSESpecification"], one["BillingMode"]) == ({"SSEEnabled": True}, "PAY_PER_REQUEST")


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
    read = {name for name in of_type(resources, "AWS::SQS::Queue") if not name.endswith("DeadLetterQueue")}
    assert sorted(shapes["queues"]) == sorted([*read, "RetryDeadLetterQueue"])


def test_each_room_is_on_the_page_and_each_module_that_is_named_is_there() -> None:
    (rooms, faq) = tables(PAGE["Rooms"])
    package = PROJECT / "layers" / "shared" / "backup_webhooks"
    rows = [
        (room, re.findall(r"`([\w/]+)`", row["begin reading at"])) for row in rooms[1:] for room in names(row["room"])
    ]

    assert sorted(room for room, _ in rows) == sorted(path.parent.name for path in package.glob("*/__init__.py"))
    assert all((package / room / f"{module}.py").exists() for room, modules in rows for module in modules)
    assert all((package / module).exists() for row in faq for module in re.findall(r"`([\w/]+\.py)`", row["module"]))


def test_the_page_is_read_in_one_go() -> None:
    assert len((PROJECT / "docs" / "architecture.md").read_text().splitlines()) <= 150
