"""The use of roles by AWS itself, read from a template."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.roles import Ask, Right, Roles

AT = "us-east-1:123456789012"
FUNCTION, QUEUE, DEAD = f"arn:aws:lambda:{AT}:function:Work", f"arn:aws:sqs:{AT}:Queue", f"arn:aws:sqs:{AT}:Dead"
POLLS = {Ask(f"sqs:{action}", QUEUE) for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}


def arn_of(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def roles(**more: tuple[str, dict[str, Any]]) -> Roles:
    """Return the roles of a template with the function Work, its role Own, a few names, and more resources."""
    work = {
        "Role": arn_of("Own"),
        "LoggingConfig": {"LogGroup": {"Ref": "Log"}},
        "TracingConfig": {"Mode": "PassThrough"},
    }
    resources = {
        "Own": ("AWS::IAM::Role", {}),
        "Ticks": ("AWS::IAM::Role", {}),
        "Log": ("AWS::Logs::LogGroup", {}),
        "Queue": ("AWS::SQS::Queue", {}),
        "Dead": ("AWS::SQS::Queue", {}),
        "live": ("AWS::Lambda::Alias", {"FunctionName": {"Ref": "Work"}, "Name": "live"}),
        "Work": ("AWS::Lambda::Function", work),
    } | more
    parameters = {"EmailSender": {"Default": ""}}
    conditions = {"SendEmail": {"Fn::Not": [{"Fn::Equals": [{"Ref": "EmailSender"}, ""]}]}}
    named = {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}
    return Roles({"Parameters": parameters, "Conditions": conditions, "Resources": named})


def beyond_logs(some: Roles) -> set[tuple[str, Ask]]:
    return {(role, ask) for role, ask in some.used_by_aws() if not ask.action.startswith("logs:")}


def test_a_functions_logs_are_written_to_its_group_and_traces_where_it_is_traced() -> None:
    group = f"arn:aws:logs:{AT}:log-group:Log:*"

    assert set(roles().used_by_aws()) == {
        ("Own", Ask("logs:CreateLogStream", group)),
        ("Own", Ask("logs:PutLogEvents", group)),
    }


@pytest.mark.parametrize("name", ["Work", "live"])
def test_a_queue_is_polled_in_the_name_of_the_function_that_it_is_for(name: str) -> None:
    mapping = {"FunctionName": {"Ref": name}, "EventSourceArn": arn_of("Queue")}

    assert beyond_logs(roles(Polls=("AWS::Lambda::EventSourceMapping", mapping))) == {("Own", ask) for ask in POLLS}


def test_a_failed_event_is_sent_to_its_destination_in_the_name_of_the_function() -> None:
    config = {"FunctionName": {"Ref": "Work"}, "DestinationConfig": {"OnFailure": {"Destination": arn_of("Dead")}}}

    assert beyond_logs(roles(Config=("AWS::Lambda::EventInvokeConfig", config))) == {
        ("Own", Ask("sqs:SendMessage", DEAD))
    }


@pytest.mark.parametrize(("target", "arn"), [(arn_of("Work"), FUNCTION), ({"Ref": "live"}, f"{FUNCTION}:live")])
def test_a_schedule_invokes_exactly_its_target_and_keeps_failed_events(target: dict[str, Any], arn: str) -> None:
    schedule = {"Target": {"Arn": target, "RoleArn": arn_of("Ticks"), "DeadLetterConfig": {"Arn": arn_of("Dead")}}}

    assert beyond_logs(roles(EveryMinute=("AWS::Scheduler::Schedule", schedule))) == {
        ("Ticks", Ask("lambda:InvokeFunction", arn)),
        ("Ticks", Ask("sqs:SendMessage", DEAD)),
    }


def role_with(**statement: Any) -> Roles:
    document = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE} | statement]}
    return roles(Own=("AWS::IAM::Role", {"Policies": [{"PolicyDocument": document}]}))


def test_each_action_on_each_resource_is_a_right_of_its_own() -> None:
    index = {"Fn::Sub": "${Queue.Arn}/index/due"}
    some = role_with(Action=["a:One", "a:Two"], Resource=[{"Fn::If": ["SendEmail", index, "no"]}, {"Ref": "Dead"}])

    assert {(right.action, right.resource) for right in some.rights("Own")} == {
        (action, resource) for action in ("a:One", "a:Two") for resource in (f"{QUEUE}/index/due", DEAD)
    }


def test_a_condition_must_be_met() -> None:
    (right,) = role_with(Condition={"StringEquals": {"ses:FromAddress": "a@b.example"}}).rights("Own")

    assert right.covers(Ask("sqs:SendMessage", QUEUE, frozenset({("ses:FromAddress", "a@b.example"), ("x", "y")})))
    assert not right.covers(Ask("sqs:SendMessage", QUEUE, frozenset({("ses:FromAddress", "c@d.example")})))
    assert not right.covers(Ask("sqs:SendMessage", QUEUE))


def test_a_right_to_everything_covers_only_actions_without_a_resource() -> None:
    right = Right("backup:ListBackupPlans", "*", frozenset())

    assert right.covers(Ask("backup:ListBackupPlans"))
    assert not right.covers(Ask("backup:ListBackupPlans", f"arn:aws:backup:{AT}:backup-plan:1"))


@pytest.mark.parametrize(
    "statement",
    [{"Effect": "Deny"}, {"Action": "sqs:*"}, {"NotResource": QUEUE}, {"Condition": {"StringLike": {"a": "b"}}}],
)
def test_a_statement_that_is_not_understood_is_no_right(statement: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        role_with(**statement).rights("Own")
