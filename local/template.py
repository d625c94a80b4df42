"""template.yaml as AWS would see it: translated by SAM's own translator, so the local stack can't drift from it."""

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
# The parameter in the place of the HTTP API's address, which has no resource here.
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
    """Invokes a function every so often. `input`: the event, with EventBridge Scheduler's placeholders."""

    function: str
    input: str
    every: timedelta


@dataclass(frozen=True)
class HttpRoute:
    """A route of the HTTP API to a function. `authorized`: whether only with a token."""

    route_key: str
    function: str
    authorized: bool

    def matches(self, method: str, path: str) -> bool:
        """Whether a request of that method for that (decoded) path takes this route, where no other comes before."""
        if self.route_key == "$default":
            return True
        wanted, _, pattern = self.route_key.partition(" ")
        prefix = pattern.removesuffix("{proxy+}")
        # The gateway's `{proxy+}` is one segment at least.
        return wanted in ("ANY", method) and path.startswith(prefix) and path != prefix


@dataclass(frozen=True)
class Template:
    """`cloudformation`: what to deploy here; `whole`: what AWS would deploy. `sources`: each function's folder. Logical
    ids throughout.
    """

    cloudformation: dict[str, Any]
    whole: dict[str, Any]
    sources: Mapping[str, Path]
    queue_sources: tuple[QueueSource, ...]
    schedules: tuple[RateSchedule, ...]
    http_routes: tuple[HttpRoute, ...]


_ELSEWHERE = (
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
    """What SAM makes of a template whose code is packaged."""
    # The translator looks for a region in the environment; partition-dependent ARNs are all that it is for.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    # It warns that nobody takes its metrics, and that it has no switches of AWS's.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    return dict(transform(template, {}, _NoManagedPolicies()))


def translate(path: Path = PROJECT / "template.yaml") -> Template:
    """Translate, and take out what runs here by other means (code, layers, event source mappings, schedules), and what
    has no place here: versions, their deployment, alarms.

    Tables and queues are named by their logical ids, as `sam local invoke` resolves a `!Ref` to them.
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
    _call_functions_themselves(resources)
    queue_sources = tuple(map(_queue_source, _take_out(resources, "AWS::Lambda::EventSourceMapping")))
    # moto has not all of these, and nothing here invokes asynchronously: an event is given to the function by hand.
    for kind in _ELSEWHERE:
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
                # On AWS a table outlives its stack; here the next run begins with an empty one.
                del resource["DeletionPolicy"], resource["UpdateReplacePolicy"]
                del resource["Properties"]["DeletionProtectionEnabled"]
            case "AWS::SQS::Queue":
                resource["Properties"]["QueueName"] = name
    return Template(translated, whole, sources, queue_sources, schedules, http_routes)


def _call_functions_themselves(resources: dict[str, Any]) -> None:
    """Let all that calls an alias call its function, of which there is one version here."""
    aliases = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::Lambda::Alias"}

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
    """The properties of all resources of a type, which are then no longer among the resources."""
    names = [name for name, resource in resources.items() if resource["Type"] == kind]
    return [resources.pop(name)["Properties"] for name in names]


def _properties(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The properties of all resources of a type."""
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def _http_routes(resources: dict[str, Any], outputs: dict[str, Any]) -> tuple[HttpRoute, ...]:
    """The routes, `$default` last; all that belongs to the API is then no longer among the resources and outputs."""
    integrations = {name: one["Properties"] for name, one in resources.items() if one["Type"].endswith("::Integration")}
    routes = [
        HttpRoute(
            route_key=properties["RouteKey"],
            function=_function_of(integrations, properties["Target"]),
            authorized=properties["AuthorizationType"] == "JWT",
        )
        for properties in _take_out(resources, "AWS::ApiGatewayV2::Route")
    ]
    if unknown := [one.route_key for one in routes if not one.route_key.endswith(("$default", "/{proxy+}"))]:
        raise NotImplementedError(f"the local HTTP API knows METHOD /path/{{proxy+}} and $default, not {unknown}")
    for part in ("Integration", "Authorizer", "Stage", "Api"):
        _take_out(resources, f"AWS::ApiGatewayV2::{part}")
    _take_out(resources, "AWS::Lambda::Permission")
    # Where the page is here is known once it has been opened.
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
        raise NotImplementedError(f"the local scheduler knows rates alone, not {properties['ScheduleExpression']}")
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
