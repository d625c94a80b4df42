"""The parts of the template that keep strangers out. They cannot be tried here, so their values are checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return dict(yaml_parse((PROJECT / "template.yaml").read_text()))


@pytest.fixture
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in template["Resources"].items()}


def test_each_route_of_the_api_wants_a_token_of_the_issuer_for_the_audience(resources: dict[str, Any]) -> None:
    routes = {one["RouteKey"]: one for name, one in resources.items() if "RouteKey" in one}
    assert set(routes) == {"ANY /v2/{proxy+}", "ANY /p/{proxy+}", "$default"}
    assert routes["ANY /v2/{proxy+}"]["AuthorizationType"] == "JWT"
    assert routes["ANY /v2/{proxy+}"]["AuthorizerId"] == {"Ref": "WebhooksApiAuthorizer"}

    authorizer = resources["WebhooksApiAuthorizer"]
    variables = resources["WebhooksApiFunction"]["Environment"]["Variables"]
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["JwtConfiguration"] == {
        "Issuer": variables["JWT_ISSUER"],
        "Audience": [variables["JWT_AUDIENCE"]],
    }


def test_the_api_is_where_sam_local_looks_for_routes(template: dict[str, Any]) -> None:
    """Once it has found a function, `sam local start-api` looks for routes only in SAM's own resources."""
    kinds = [one["Type"] for one in template["Resources"].values()]

    assert kinds.index("AWS::ApiGatewayV2::Api") < kinds.index("AWS::Serverless::Function")


def test_the_api_is_throttled_logged_and_closed_to_other_origins(resources: dict[str, Any]) -> None:
    stage = resources["WebhooksApiStage"]

    assert "CorsConfiguration" not in resources["WebhooksApi"]
    assert 0 < stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
    assert stage["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": ["WebhooksApiAccessLogGroup", "Arn"]}
    # A ping's path has its key, and a query may hold a secret or a token.
    for secret in ("query", "path", "headers", "body"):
        assert secret not in stage["AccessLogSettings"]["Format"].lower()


def test_the_ping_function_has_only_the_rights_that_it_needs(resources: dict[str, Any]) -> None:
    statements = resources["PingRole"]["Policies"][0]["PolicyDocument"]["Statement"]

    assert {str(one["Action"]): one["Resource"] for one in statements if "logs" not in str(one["Action"])} == {
        "dynamodb:UpdateItem": {"Fn::GetAtt": ["PingKeysTable", "Arn"]},
        "sqs:SendMessage": {"Fn::GetAtt": ["BackupEventsQueue", "Arn"]},
        "['xray:PutTraceSegments', 'xray:PutTelemetryRecords']": "*",
    }
    assert resources["PingPermission"]["SourceArn"]["Fn::Sub"].endswith("${WebhooksApi}/*/*/p/*")
    assert resources["PingKeysTable"]["SSESpecification"] == {"SSEEnabled": True}


def test_queues_and_tables_are_encrypted(template: dict[str, Any]) -> None:
    of_type: dict[str, list[dict[str, Any]]] = {}
    for one in template["Resources"].values():
        of_type.setdefault(one["Type"], []).append(one["Properties"])
    assert all(queue["SqsManagedSseEnabled"] is True for queue in of_type["AWS::SQS::Queue"])
    assert all(table["SSESpecification"] == {"SSEEnabled": True} for table in of_type["AWS::DynamoDB::Table"])


def test_users_cannot_sign_up_or_change_their_account(resources: dict[str, Any]) -> None:
    client = resources["UserPoolClient"]

    assert resources["UserPool"]["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert "custom:account_alias" in client["ReadAttributes"]
    assert "custom:account_alias" not in client["WriteAttributes"]
    # With this scope users change their own attributes.
    assert "aws.cognito.signin.user.admin" not in client["AllowedOAuthScopes"]
    assert client["AllowedOAuthFlows"] == ["code"]


def test_a_user_pool_is_made_only_without_an_issuer(template: dict[str, Any]) -> None:
    made = {name for name, one in template["Resources"].items() if one["Type"].startswith("AWS::Cognito::")}

    assert made == {"UserPool", "UserPoolDomain", "UserPoolClient"}
    assert {template["Resources"][name]["Condition"] for name in made} == {"MakeUserPool"}
    assert template["Conditions"]["MakeUserPool"] == {"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}


def test_nothing_that_sends_email_is_there_without_a_sender(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    of_email = {name for name, one in resources.items() if one.get("Condition") == "SendEmail"}

    assert template["Conditions"]["SendEmail"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "EmailSender"}, ""]}]}
    assert template["Parameters"]["EmailSender"]["Default"] == ""
    assert {"DailyReportFunction", "ReportsQueue", "EmailNoticesFunction", "EmailNoticesQueue"} <= of_email
    for name in set(resources) - of_email:
        assert not of_email & set(mentioned(without("SendEmail", resources[name]))), name


def mentioned(part: Any) -> Iterator[str]:
    """Yield the resources that a part of the template refers to."""
    if isinstance(part, dict):
        if "Ref" in part:
            yield part["Ref"]
        if "Fn::GetAtt" in part:
            yield part["Fn::GetAtt"][0]
        for value in part.values():
            yield from mentioned(value)
    elif isinstance(part, list):
        for value in part:
            yield from mentioned(value)


def without(condition: str, part: Any) -> Any:
    """Return a part of the template as it is if the condition is false."""
    if isinstance(part, dict):
        if part.get("Fn::If", [None])[0] == condition:
            return without(condition, part["Fn::If"][2])
        return {name: without(condition, value) for name, value in part.items()}
    return [without(condition, value) for value in part] if isinstance(part, list) else part


@pytest.mark.parametrize("role", ["DailyReportRole", "EmailNoticesRole"])
def test_email_is_sent_from_the_senders_identity_alone(role: str, resources: dict[str, Any]) -> None:
    statements = resources[role]["Policies"][0]["PolicyDocument"]["Statement"]
    (statement,) = [one for one in statements if "ses:" in str(one["Action"])]

    assert statement["Action"] == "ses:SendEmail"
    assert statement["Resource"] == {
        "Fn::Sub": [
            "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${Identity}",
            {"Identity": {"Fn::If": ["IdentityIsAddress", {"Ref": "EmailSender"}, {"Ref": "EmailIdentity"}]}},
        ]
    }
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "EmailSender"}}}


def test_nothing_of_aws_backup_is_there_unless_it_is_switched_on(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    of_source = {name for name, one in resources.items() if one.get("Condition") == "FromAwsBackup"}

    assert template["Conditions"]["FromAwsBackup"] == {"Fn::Equals": [{"Ref": "AwsBackupSource"}, "true"]}
    assert template["Parameters"]["AwsBackupSource"]["Default"] == "false"
    assert of_source == {name for name in resources if name.startswith("AwsBackup")} | {"SourcesTable"}
    for name in set(resources) - of_source:
        assert not of_source & set(mentioned(without("FromAwsBackup", resources[name]))), name


def test_aws_backup_is_read_and_never_written_and_only_its_lists_are_of_everything(resources: dict[str, Any]) -> None:
    statements = resources["AwsBackupRole"]["Policies"][0]["PolicyDocument"]["Statement"]
    lists, plans = (one for one in statements if "backup:" in str(one["Action"]))

    assert lists["Resource"] == "*"
    assert set(lists["Action"]) == {"backup:ListBackupJobs", "backup:ListBackupPlans", "backup:ListProtectedResources"}
    assert set(plans["Action"]) == {"backup:GetBackupPlan", "backup:ListBackupSelections", "backup:GetBackupSelection"}
    assert str(plans["Resource"]["Fn::Sub"]).endswith(":backup-plan:*")


def test_a_lost_or_failed_event_of_aws_backup_is_in_the_dead_letter_queue(
    resources: dict[str, Any],
) -> None:
    dead_letters = {"Fn::GetAtt": ["AwsBackupDeadLetterQueue", "Arn"]}
    (target,) = resources["AwsBackupRule"]["Targets"]
    function = resources["AwsBackupFunction"]
    (statement,) = resources["AwsBackupDeadLetterQueuePolicy"]["PolicyDocument"]["Statement"]

    assert target["DeadLetterConfig"]["Arn"] == dead_letters
    assert function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": dead_letters,
    }
    assert {one["Properties"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for one in function["Events"].values()} == {
        "AwsBackupDeadLetterQueue"
    }
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["AwsBackupRule", "Arn"]}}}
    permission = resources["AwsBackupRulePermission"]
    assert permission["SourceArn"] == {"Fn::GetAtt": ["AwsBackupRule", "Arn"]}
