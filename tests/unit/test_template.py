"""What of the template keeps strangers out: it can't be tried here, so it is at least held fast."""

from __future__ import annotations

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
    assert set(routes) == {"ANY /v2/{proxy+}", "$default"}
    assert routes["ANY /v2/{proxy+}"]["AuthorizationType"] == "JWT"
    assert routes["ANY /v2/{proxy+}"]["AuthorizerId"] == {"Ref": "WebhooksApiAuthorizer"}

    authorizer = resources["WebhooksApiAuthorizer"]
    variables = resources["WebhooksApiFunction"]["Environment"]["Variables"]
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["JwtConfiguration"] == {
        "Issuer": variables["JWT_ISSUER"],
        "Audience": [variables["JWT_AUDIENCE"]],
    }


def test_the_api_is_throttled_logged_and_closed_to_other_origins(resources: dict[str, Any]) -> None:
    stage = resources["WebhooksApiStage"]

    assert "CorsConfiguration" not in resources["WebhooksApi"]
    assert 0 < stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
    assert stage["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": ["WebhooksApiAccessLogGroup", "Arn"]}
    assert "query" not in stage["AccessLogSettings"]["Format"].lower()


def test_nobody_makes_himself_a_user_or_another_accounts(resources: dict[str, Any]) -> None:
    client = resources["UserPoolClient"]

    assert resources["UserPool"]["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert "custom:account_alias" in client["ReadAttributes"]
    assert "custom:account_alias" not in client["WriteAttributes"]
    # The scope with which a user changes his own attributes.
    assert "aws.cognito.signin.user.admin" not in client["AllowedOAuthScopes"]
    assert client["AllowedOAuthFlows"] == ["code"]


def test_a_user_pool_is_made_only_where_no_issuer_is_given(template: dict[str, Any]) -> None:
    made = {name for name, one in template["Resources"].items() if one["Type"].startswith("AWS::Cognito::")}

    assert made == {"UserPool", "UserPoolDomain", "UserPoolClient"}
    assert {template["Resources"][name]["Condition"] for name in made} == {"MakeUserPool"}
    assert template["Conditions"]["MakeUserPool"] == {"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}
