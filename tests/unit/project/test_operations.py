"""The alarms and dashboard of the template, and deployments that limit a bad version to a few calls."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.aws.metrics import function_metrics
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT, cloudformation

SOURCES = [*(PROJECT / "functions").rglob("*.py"), *(PROJECT / "layers/shared/backup_webhooks").rglob("metrics.py")]
FULL = "ObserveFully"
FULLY = (FULL, "ObserveEmailFully", "WatchGivenUp")
# The endpoint's fault, not the service's: the alarm's actions are optional.
OPTIONAL = {"RetryDeadLettersAlarm"}


@pytest.fixture
def template() -> dict[str, Any]:
    return dict(yaml_parse((PROJECT / "template.yaml").read_text()))


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def alarms(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return of_type(template, "AWS::CloudWatch::Alarm")


def watched(alarm: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the metrics of an alarm: namespace, name, and the dimensions as text."""
    properties = alarm["Properties"]
    whole = [one["Fn::If"][1] if "Fn::If" in one else one for one in properties.get("Metrics", [])]
    for metric in [one["MetricStat"]["Metric"] for one in whole if "MetricStat" in one] or [properties]:
        yield metric["Namespace"], metric["MetricName"], json.dumps(metric["Dimensions"])


def translated(template: dict[str, Any], layers: str = "none") -> dict[str, Any]:
    """Return the template as AWS has it, with the code packaged under that key."""
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            one["Properties"]["CodeUri"] = {"Bucket": "b", "Key": "functions"}
        elif one["Type"] == "AWS::Serverless::LayerVersion":
            one["Properties"]["ContentUri"] = {"Bucket": "b", "Key": layers}
    return dict(cloudformation(template)["Resources"])


def test_each_dead_letter_queue_and_each_queue_that_is_read_has_its_alarm(template: dict[str, Any]) -> None:
    seen = {(name, dimensions) for one in alarms(template).values() for _, name, dimensions in watched(one)}

    for queue, one in of_type(template, "AWS::SQS::Queue").items():
        metric = "ApproximateAgeOfOldestMessage"
        if queue.endswith("DeadLetterQueue"):
            metric = "ApproximateNumberOfMessagesVisible"
        dimensions = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
        assert (metric, json.dumps(dimensions)) in seen, queue
        (alarm,) = [
            alarm
            for alarm in alarms(template).values()
            if (metric, json.dumps(dimensions)) in {(name, dimensions) for _, name, dimensions in watched(alarm)}
        ]
        assert alarm.get("Condition") in (one.get("Condition"), *FULLY)


def test_each_function_has_an_alarm_on_the_errors_of_its_alias_and_on_throttles(template: dict[str, Any]) -> None:
    throttled = {dimensions for _, _, dimensions in watched(template["Resources"]["ThrottlesAlarm"])}

    for function, one in of_type(template, "AWS::Serverless::Function").items():
        alarm = alarms(template)[function.replace("Function", "ErrorsAlarm")]
        of_function = {"Name": "FunctionName", "Value": {"Ref": function}}
        of_alias = {"Name": "Resource", "Value": {"Fn::Sub": f"${{{function}}}:live"}}
        assert {(name, dimensions) for _, name, dimensions in watched(alarm)} == {
            ("Errors", json.dumps([of_function, of_alias])),
            ("Invocations", json.dumps([of_function, of_alias])),
        }
        assert alarm.get("Condition") == one.get("Condition")
        assert json.dumps([of_function]) in throttled


def test_missed_backups_that_is_silent_for_five_minutes_raises_an_alarm(template: dict[str, Any]) -> None:
    found = {name: one["Properties"] for name, one in alarms(template).items() if name.endswith("SilentAlarm")}
    silent = found["MissedBackupsSilentAlarm"]

    assert silent["Period"] * silent["EvaluationPeriods"] == 300
    assert {one["MetricName"] for one in found.values()} == {"Due", "ReportsDue", "Reconciled"}
    for one in found.values():
        assert (one["Statistic"], one["Threshold"]) == ("SampleCount", 1)
        assert (one["ComparisonOperator"], one["TreatMissingData"]) == ("LessThanThreshold", "breaching")


def test_each_alarm_notifies_the_topic_when_it_begins_and_when_it_ends(template: dict[str, Any]) -> None:
    topic = [{"Fn::If": ["TellAlarms", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]}]

    for name, alarm in alarms(template).items():
        assert alarm["Properties"]["AlarmActions"] == alarm["Properties"]["OKActions"] == topic, name
        assert alarm["Properties"]["TreatMissingData"] in ("notBreaching", "breaching"), name
        assert ("ActionsEnabled" in alarm["Properties"]) is (name in OPTIONAL), name


def test_each_alarm_has_its_chapter_in_the_runbook(template: dict[str, Any]) -> None:
    chapters = re.findall(r"^### (.*)$", (PROJECT / "docs/runbook.md").read_text(), re.MULTILINE)

    assert sorted(name for chapter in chapters for name in re.findall(r"\w+Alarm", chapter)) == sorted(alarms(template))


def test_each_metric_of_alarms_and_dashboard_is_counted_by_a_function(template: dict[str, Any]) -> None:
    source = "".join(map(Path.read_text, SOURCES))
    shown = dashboard(template)

    ours = {name for alarm in alarms(template).values() for space, name, _ in watched(alarm) if space[:4] != "AWS/"}
    ours |= {metric[1] for metric in shown if metric[0] == "SimpleBackupWebhooks"}
    assert {name for name in ours if f'"{name}"' not in source} == set()
    # A metric that is counted and not shown would not be found.
    assert set(re.findall(r'add_metric\(\s*"(\w+)"', source)) - {metric[1] for metric in shown} == {"ReportsDue"}


def dashboard(template: dict[str, Any]) -> list[list[Any]]:
    """Return the dashboard's metrics. Each variable in it is a resource that exists whenever the dashboard does."""
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name in {variable.split(".")[0] for variable in re.findall(r"\$\{([\w.:]+)\}", body)}:
        assert name.startswith("AWS::") or "Condition" not in template["Resources"][name], name
    return [metric for widget in json.loads(body)["widgets"] for metric in widget["properties"]["metrics"]]


def test_basic_observability_has_the_alarms_that_call_for_a_person_or_guard_a_deployment(
    template: dict[str, Any],
) -> None:
    full_only = {name for name, one in alarms(template).items() if one.get("Condition") in FULLY}

    assert template["Parameters"]["Observability"]["Default"] == "basic"
    # Other alarms report the same later, or it needs no person.
    assert full_only == {"RetryDeadLettersAlarm", "HeartbeatOldAlarm", "ThrottlesAlarm", "EmailsFailedAlarm"}
    assert template["Globals"]["Function"]["Tracing"] == {"Fn::If": [FULL, "Active", "PassThrough"]}


@pytest.mark.parametrize(
    ("observability", "counted"), [("full", ["Due", "Posted", "RecordsFailed"]), ("basic", ["Due"])]
)
def test_basic_observability_counts_only_what_its_alarms_need(
    observability: str, counted: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OBSERVABILITY", observability)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "SimpleBackupWebhooks")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")

    def flushed(failed: int) -> list[str]:
        metrics = function_metrics()
        for name, value in (("Due", 0), ("Posted", 3), ("RecordsFailed", failed)):
            metrics.add_metric(name, "Count", value)
        metrics.flush_metrics()
        (directive,) = json.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
        return sorted(metric["Name"] for metric in directive["Metrics"])

    assert flushed(failed=0) == counted
    assert flushed(failed=1) == sorted({*counted, "RecordsFailed"})


def test_each_caller_of_a_function_calls_the_alias_that_a_deployment_moves(template: dict[str, Any]) -> None:
    functions = set(of_type(template, "AWS::Serverless::Function"))
    resources = translated(template)

    for name, one in resources.items():
        if one["Type"].rpartition("::")[2] in ("EventSourceMapping", "Schedule", "Rule", "Integration", "Permission"):
            text = json.dumps(one["Properties"])
            called = {function for function in functions if function in text}
            assert called, name
            for function in called:
                whole = f"{function}Aliaslive" in text or f"{function}.Arn}}:live" in text
                assert whole, name
                assert json.dumps({"Fn::GetAtt": [function, "Arn"]}) not in text, name


def test_a_change_of_a_layer_makes_a_new_version_of_each_function() -> None:
    def versions(key: str) -> set[str]:
        template = dict(yaml_parse((PROJECT / "template.yaml").read_text()))
        return {name for name, one in translated(template, key).items() if one["Type"] == "AWS::Lambda::Version"}

    assert versions("one") == versions("one")
    assert len(versions("one") - versions("another")) == 8


def test_a_changed_parameter_makes_a_new_version_of_each_function(tmp_path: Path) -> None:
    def versions(parameters: str) -> set[str]:
        built = tmp_path / "template.yaml"
        built.write_text((PROJECT / "template.yaml").read_text())
        make = ["make", "deployed-with", f"BUILT={built}", f"PARAMETERS={parameters}"]
        subprocess.run(make, cwd=PROJECT, check=True)
        resources = translated(dict(yaml_parse(built.read_text())))
        return {name for name, one in resources.items() if one["Type"] == "AWS::Lambda::Version"}

    before = versions("LogRetentionDays=14 EmailSender=one@example.com")
    assert versions("LogRetentionDays=14 EmailSender=one@example.com") == before
    assert len(before - versions("LogRetentionDays=14 EmailSender=two@example.com")) == 8


def test_a_deployment_is_rolled_back_at_an_alarm_of_its_function(template: dict[str, Any]) -> None:
    functions = of_type(template, "AWS::Serverless::Function")
    resources = translated(template)

    for function, one in functions.items():
        group = resources[f"{function}DeploymentGroup"]
        watching = [alarm["Name"]["Ref"] for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]]
        assert function.replace("Function", "ErrorsAlarm") in watching
        assert set(watching) <= set(alarms(template))
        assert group["Properties"]["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
        assert group["Properties"]["AutoRollbackConfiguration"]["Enabled"]
        assert group.get("Condition") == one.get("Condition")


def test_a_fix_can_be_deployed_during_an_alarm(template: dict[str, Any]) -> None:
    template["Parameters"]["CanaryDeployment"]["Default"] = "false"
    resources = translated(template)

    assert not [name for name, one in resources.items() if one["Type"].startswith("AWS::CodeDeploy")]
    assert "UpdatePolicy" not in resources["NotifierFunctionAliaslive"]


def test_data_outlives_the_stack(template: dict[str, Any]) -> None:
    for name, one in (of_type(template, "AWS::DynamoDB::Table") | of_type(template, "AWS::Cognito::UserPool")).items():
        assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain", name


def test_the_delivery_log_outlives_each_dead_letter_and_its_redrive(template: dict[str, Any]) -> None:
    """A message that comes after the log has forgotten its delivery would be posted again."""
    queues = {
        name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == "AWS::SQS::Queue"
    }
    least = template["Parameters"]["DeliveryRetentionDays"]["MinValue"]
    for name in ("BackupEventsQueue", "RetryQueue"):
        dead_letters = re.search(r"\w+DeadLetterQueue", json.dumps(queues[name]["RedrivePolicy"]))
        assert dead_letters
        # A dead letter keeps its age. Redriven, it is new.
        longest = queues[dead_letters[0]]["MessageRetentionPeriod"] + queues[name]["MessageRetentionPeriod"]
        assert longest < least * 24 * 60 * 60
