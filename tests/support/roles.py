"""The roles of the template: the rights of each, and how AWS itself uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from local.stack import PARAMETERS

# Region and account of the local stack, as ARNs have them.
AT = "us-east-1:123456789012"
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}
# Names are logical ids. The end of a log group's Arn stands for its streams.
_ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{AT}:alarm:{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{AT}:table/{{}}",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{AT}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{AT}:log-group:{{}}:*",
    "AWS::SQS::Queue": f"arn:aws:sqs:{AT}:{{}}",
}
_NOTHING = object()


class Ask(NamedTuple):
    """A request for a right. `resource`: an ARN, or `*` if the action has none; `keys`: condition keys and values."""

    action: str
    resource: str = "*"
    keys: frozenset[tuple[str, str]] = frozenset()

    def __str__(self) -> str:
        return " ".join(
            [self.action, "on", self.resource, *(f"with {key}={value}" for key, value in sorted(self.keys))]
        )


class Right(NamedTuple):
    """A right of a role: one action on one resource, if the condition keys have these values."""

    action: str
    resource: str
    keys: frozenset[tuple[str, str]]

    def covers(self, ask: Ask) -> bool:
        """Return whether it allows the request. Unlike in IAM, one to `*` covers only actions without a resource."""
        return (
            ask.action == self.action
            and (ask.resource == self.resource or (self.resource != "*" and fnmatchcase(ask.resource, self.resource)))
            and self.keys <= ask.keys
        )


@dataclass(frozen=True)
class Roles:
    """The roles of a translated template with all of its optional parts.

    In it the Ref or Arn of a resource is its ARN, and a name is its logical id.
    """

    template: Mapping[str, Any]

    def names(self) -> set[str]:
        return {name for name, one in self.template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}

    def of_functions(self) -> dict[str, str]:
        """Return the name of each function's role."""
        return {name: self._role(one["Role"]) for name, one in self._all("AWS::Lambda::Function")}

    def rights(self, role: str) -> list[Right]:
        """Return all rights of the role's statements."""
        properties = self.template["Resources"][role]["Properties"]
        assert "ManagedPolicyArns" not in properties, f"{role} has policies that cannot be read here"
        documents = [policy["PolicyDocument"] for policy in properties["Policies"]]
        return [right for document in documents for one in self._value(document["Statement"]) for right in _rights(one)]

    def queue_variables(self, function: str) -> dict[str, str]:
        """Return the queues that the function's environment names, by variable."""
        variables = self.template["Resources"][function]["Properties"]["Environment"]["Variables"]
        return {name: self._value(value) for name, value in variables.items() if name.endswith("_QUEUE_URL")}

    def used_by_aws(self) -> Iterator[tuple[str, Ask]]:
        """Yield how AWS's services use the roles without a call by the code."""
        yield from self._used_by_lambda()
        yield from self._used_by_scheduler()
        yield from self._used_by_codedeploy()

    def _used_by_lambda(self) -> Iterator[tuple[str, Ask]]:
        roles = self.of_functions()
        for _, function in self._all("AWS::Lambda::Function"):
            role = self._role(function["Role"])
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                yield role, Ask(action, self._value(function["LoggingConfig"]["LogGroup"]))
            if self._value(function["TracingConfig"]["Mode"]) == "Active":
                for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"):
                    yield role, Ask(action)
        for _, mapping in self._all("AWS::Lambda::EventSourceMapping"):
            role = roles[self._function(mapping["FunctionName"])]
            for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
                yield role, Ask(action, self._value(mapping["EventSourceArn"]))
        for _, config in self._all("AWS::Lambda::EventInvokeConfig"):
            role = roles[self._function(config["FunctionName"])]
            for outcome in config["DestinationConfig"].values():
                yield role, Ask("sqs:SendMessage", self._value(outcome["Destination"]))

    def _used_by_scheduler(self) -> Iterator[tuple[str, Ask]]:
        for _, schedule in self._all("AWS::Scheduler::Schedule"):
            target = schedule["Target"]
            role = self._role(target["RoleArn"])
            yield role, Ask("lambda:InvokeFunction", self._value(target["Arn"]))
            if "DeadLetterConfig" in target:
                yield role, Ask("sqs:SendMessage", self._value(target["DeadLetterConfig"]["Arn"]))

    def _used_by_codedeploy(self) -> Iterator[tuple[str, Ask]]:
        for alias, one in self.template["Resources"].items():
            if "CodeDeployLambdaAliasUpdate" in one.get("UpdatePolicy", {}):
                update = one["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
                group = self.template["Resources"][update["DeploymentGroupName"]["Ref"]]["Properties"]
                role = self._role(group["ServiceRoleArn"])
                for action in ("GetAlias", "UpdateAlias", "GetProvisionedConcurrencyConfig"):
                    # AWS's pages disagree on which of the two is checked.
                    yield role, Ask(f"lambda:{action}", self._value(one["Properties"]["FunctionName"]))
                    yield role, Ask(f"lambda:{action}", self._named(alias))
                for alarm in group["AlarmConfiguration"]["Alarms"]:
                    yield role, Ask("cloudwatch:DescribeAlarms", self._value(alarm["Name"]))

    def _all(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind:
                yield name, resource["Properties"]

    def _role(self, arn: Any) -> str:
        return str(self._value(arn)).rpartition("/")[2]

    def _function(self, arn: Any) -> str:
        # The reference to an alias has its name after the function's.
        return str(self._value(arn)).split(":")[6]

    def _value(self, part: Any) -> Any:
        """Return a part of the template as CloudFormation would resolve it."""
        match part:
            case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
                return self._named(name)
            case {"Fn::Sub": [str() as text, values]}:
                return self._filled_in(text, self._value(values))
            case {"Fn::Sub": str() as text}:
                return self._filled_in(text, {})
            case {"Fn::If": [condition, yes, no]}:
                return self._value(yes if self._value(self.template["Conditions"][condition]) else no)
            case {"Fn::Equals": [one, other]}:
                return self._value(one) == self._value(other)
            case {"Fn::Not": [one]}:
                return not self._value(one)
            case dict():
                assert not any(name.startswith("Fn::") for name in part), f"{part} cannot be resolved here"
                return {name: self._value(value) for name, value in part.items()}
            case list():
                return [value for value in map(self._value, part) if value is not _NOTHING]
        return part

    def _named(self, name: str) -> Any:
        defaults = {parameter: one.get("Default") for parameter, one in self.template["Parameters"].items()}
        known = defaults | PARAMETERS | {"AwsBackupSource": "true", "AWS::NoValue": _NOTHING} | _PSEUDO
        if name in known:
            return known[name]
        resource = self.template["Resources"][name]
        if resource["Type"] == "AWS::Lambda::Alias":
            return f"{self._value(resource['Properties']['FunctionName'])}:{resource['Properties']['Name']}"
        return _ARNS[resource["Type"]].format(name)

    def _filled_in(self, text: str, values: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1].removesuffix(".Arn")
            return str(values[name] if name in values else self._named(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)


def _rights(statement: dict[str, Any]) -> Iterator[Right]:
    """Yield the rights of a statement. The template has no denials and no patterns of actions."""
    condition = statement.get("Condition", {"StringEquals": {}})
    assert statement["Effect"] == "Allow", statement
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
    assert set(condition) == {"StringEquals"}, statement
    for action in _listed(statement["Action"]):
        assert "*" not in action, f"{action} is not an exact action"
        for resource in _listed(statement["Resource"]):
            yield Right(action, resource, frozenset(condition["StringEquals"].items()))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
