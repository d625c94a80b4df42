"""template.yaml as AWS sees it: SAM's own translator translates it, so the local stack cannot differ from it."""

from __future__ import annotations

import copy
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

PROJECT = Path(__file__).resolve().parent.parent
# The parameter that replaces the HTTP API's address, because the API is no resource here.
PAGE_URL = "LocalPageUrl"


@dataclass(frozen=True)
class QueueSource:
    """An event source mapping from a queue to a function."""

    queue: str
    function: str
    batch_size: int
    window: timedelta


@dataclass(frozen=True)
class RateSchedule:
    """A schedule that invokes a function at a rate. `input`: the event, with EventBridge Scheduler's placeholders."""

    function: str
    input: str
    every: timedelta


@dataclass(frozen=True)
class HttpRoute:
    """A route of the HTTP API to a function. `authorized`: whether it needs a token."""

    route_key: str
    function: str
    authorized: bool

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request with that method and decoded path fits this route."""
        if self.route_key == "$default":
            return True
        route_method, _, pattern = self.route_key.partition(" ")
        prefix = pattern.removesuffix("{proxy+}")
        # The gateway's `{proxy+}` is at least one segment.
        return route_method in ("ANY", method) and path.startswith(prefix) and path != prefix


@dataclass(frozen=True)
class Template:
    """The translated template, with logical ids as names.

    `cloudformation`: the part that is deployed here. `whole`: the template as AWS deploys it. `sources`: the folder of
    each function.
    """

    cloudformation: dict[str, Any]
    whole: dict[str, Any]
    sources: Mapping[str, Path]
    queue_sources: tuple[QueueSource, ...]
    schedules: tuple[RateSchedule, ...]
    http_routes: tuple[HttpRoute, ...]


_LEFT_OUT = (
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Events::Rule",
    "AWS::SQS::QueuePolicy",
    "AWS::Lambda::Version",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
)


class _NoManagedPolicies:
    """The translator asks for AWS's managed policies by name; the template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def cloudformation(template: dict[str, Any]) -> dict[str, Any]:
    """Return the CloudFormation template that SAM makes of a template with packaged code."""
    # The translator needs a region in the environment, for ARNs that depend on the partition.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    # Else it warns that its metrics and feature switches are not set up.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    return dict(transform(template, {}, _NoManagedPolicies()))


def translate(path: Path = PROJECT / "template.yaml") -> Template:
    """Return the translated template, with its own means of code, layers, event source mappings and schedules removed.

    Versions, their deployment and alarms are removed too. Tables and queues are named by their logical ids, to which
    `sam local invoke` resolves a `!Ref`.
    """
    template = yaml_parse(path.read_text())
    sources = {}
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            sources[name] = PROJECT / properties.pop("CodeUri")
            properties["InlineCode"] = "the local runner runs the sources"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = {"Bucket": "none", "Key": "none"}
    translated = cloudformation(template)
    whole = copy.deepcopy(translated)
    resources = translated["Resources"]
    _replace_aliases(resources)
    queue_sources = tuple(map(_queue_source, _take_out(resources, "AWS::Lambda::EventSourceMapping")))
    # moto lacks some of these, and nothing here invokes a function asynchronously.
    for kind in _LEFT_OUT:
        _take_out(resources, kind)
    del translated["Outputs"]["DashboardUrl"]
    schedules = tuple(map(_schedule, _take_out(resources, "AWS::Scheduler::Schedule")))
    http_routes = _http_routes(resources, translated["Outputs"])
    translated["Parameters"][PAGE_URL] = {"Type": "String"}
    for name, resource in list(resources.items()):
        match resource["Type"]:
            case "AWS::Lambda::LayerVersion":
                del resources[name]
            case "AWS::Lambda::Function":
                resource["Properties"] |= {"FunctionName": name}
                resource["Properties"].pop("Layers", None)
            case "AWS::DynamoDB::Table":
                resource["Properties"]["TableName"] = name
                # On AWS a table outlives its stack; here each run begins with an empty one.
                del resource["DeletionPolicy"], resource["UpdateReplacePolicy"]
                del resource["Properties"]["DeletionProtectionEnabled"]
            case "AWS::SQS::Queue":
                resource["Properties"]["QueueName"] = name
    return Template(translated, whole, sources, queue_sources, schedules, http_routes)


def _replace_aliases(resources: dict[str, Any]) -> None:
    """Replace each reference to an alias by one to its function, which has one version here."""
    aliases = {
        name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Alias"
    }

    def without_aliases(part: Any) -> Any:
        match part:
            case {"Ref": str(name)} if name in aliases:
                return aliases[name]["FunctionName"]
            case dict():
                return {name: without_aliases(value) for name, value in part.items()}
            case list():
                return [without_aliases(value) for value in part]
            case _:
                return part

    for name in set(resources) - set(aliases):
        resources[name] = without_aliases(resources[name])
    for name in aliases:
        del resources[name]


def _take_out(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Remove all resources of a type, and return their properties."""
    names = [name for name, resource in resources.items() if resource["Type"] == kind]
    return [resources.pop(name)["Properties"] for name in names]


def _properties(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the properties of all resources of a type."""
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def _http_routes(resources: dict[str, Any], outputs: dict[str, Any]) -> tuple[HttpRoute, ...]:
    """Return the routes, `$default` last, and remove all resources and outputs of the API."""
    integrations = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"].endswith("::Integration")
    }
    routes = [
        HttpRoute(
            route_key=properties["RouteKey"],
            function=_function_of(integrations, properties["Target"]),
            authorized=properties["AuthorizationType"] == "JWT",
        )
        for properties in _take_out(resources, "AWS::ApiGatewayV2::Route")
    ]
    if unknown := [route.route_key for route in routes if not route.route_key.endswith(("$default", "/{proxy+}"))]:
        raise NotImplementedError(f"the local HTTP API knows METHOD /path/{{proxy+}} and $default, not {unknown}")
    for part in ("Integration", "Authorizer", "Stage", "Api"):
        _take_out(resources, f"AWS::ApiGatewayV2::{part}")
    _take_out(resources, "AWS::Lambda::Permission")
    # The page's address is known only once it is served, hence a parameter.
    url = outputs.pop("ApiUrl")["Value"]
    for properties in _properties(resources, "AWS::Lambda::Function"):
        variables = properties["Environment"]["Variables"]
        properties["Environment"]["Variables"] = {
            name: {"Ref": PAGE_URL} if value == url else value for name, value in variables.items()
        }
    return tuple(sorted(routes, key=lambda route: route.route_key == "$default"))


def _function_of(integrations: dict[str, Any], target: dict[str, str]) -> str:
    integration = target["Fn::Sub"].removeprefix("integrations/${").removesuffix("}")
    return str(integrations[integration]["IntegrationUri"]["Fn::Sub"].removeprefix("${").removesuffix(".Arn}:live"))


def _schedule(properties: dict[str, Any]) -> RateSchedule:
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", properties["ScheduleExpression"])
    if rate is None:
        raise NotImplementedError(f"the local scheduler knows only rates, not {properties['ScheduleExpression']}")
    return RateSchedule(
        function=properties["Target"]["Arn"]["Ref"],
        input=properties["Target"]["Input"],
        every=int(rate[1]) * timedelta(**{f"{rate[2]}s": 1}),
    )


def _queue_source(properties: dict[str, Any]) -> QueueSource:
    return QueueSource(
        queue=properties["EventSourceArn"]["Fn::GetAtt"][0],
        function=properties["FunctionName"]["Ref"],
        batch_size=properties["BatchSize"],
        window=timedelta(seconds=properties.get("MaximumBatchingWindowInSeconds", 0)),
    )
