"""No route, parameter, cursor or id gives account A any access to account B."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.reports.recipients import Recipient, ReportSettings
from backup_webhooks.reports.settings_store import ReportSettingsStore
from backup_webhooks.targets.target import Target

from local.stack import Stack
from tests.integration.conftest import Account, Invoke, new_account
from tests.support.api import Client, of_account
from tests.support.messages import finished
from tests.support.pings import NIGHTLY, made
from tests.support.policies import changed, record

FAILURE = EventType.FAILURE
URL = "http://127.0.0.1:9/b"
# The day of `finished`.
POLICY_ID = "b2b8ad1a-5d02-4f5b-9c3c-3d5f8d1f6a01"


@dataclass(frozen=True)
class Other:
    """An account with one item of each kind."""

    account: Account
    target_id: str
    ping_key_id: str
    server_policy_id: str
    delivery_id: str
    delivery_cursor: str
    policies_cursor: str
    secrets: tuple[str, ...]
    """The texts that no other account may see."""

    def everything(self) -> list[Any]:
        """Return all that is stored of the account."""
        stack, alias = self.account.stack, self.account.alias
        dynamodb = stack.client("dynamodb")
        names = ("Webhooks", "Deliveries", "ServerPolicies", "PingKeys")
        tables = [stack.outputs[f"{name}TableName"] for name in names]
        pages = dynamodb.get_paginator("scan")
        items = [item for table in tables for page in pages.paginate(TableName=table) for item in page["Items"]]
        return sorted((item for item in items if item.get("account") == {"S": alias}), key=str)


@pytest.fixture
def other(stack: Stack, notifier: Invoke, client_of: Callable[..., Client]) -> Other:
    account = new_account(stack)
    policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    for server in ("SECRET-SERVER-1", "SECRET-SERVER-2"):
        record(
            policies,
            changed(
                "12-20 16:00", server_policy_id=str(uuid.uuid4()), clc_account_alias=account.alias, server_id=server
            ),
        )
    target = account.set_target(
        FAILURE, URL, headers={"x-secret": "SECRET-HEADER"}, format="pagerduty", destination_key="SECRETxROUTINGxK" * 2
    )
    today = datetime.now(UTC).isoformat()
    for point in ("SECRET-POINT-1", "SECRET-POINT-2"):
        notifier(finished(account.alias, restorePointId=point, backupFinishedDate=today, log="SECRET-LOG"))
    recipient = Recipient("secret@b.example", unsubscribe_token="SECRET-TOKEN-OF-THE-LINKS")
    ReportSettingsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"]).save(
        account.alias, ReportSettings([recipient])
    )
    own = client_of(account.alias)
    delivery = own.get(of_account(account.alias, "deliveries"), limit=1).json
    servers = own.get(of_account(account.alias, "serverPolicies"), limit=1).json
    logs = own.get(of_account(account.alias, "serverPolicies", POLICY_ID, "outputs")).json["items"]
    assert [one["output"] for one in logs] == ["SECRET-LOG"] * 2
    return Other(
        account=account,
        target_id=target.target_id,
        ping_key_id=made(own, account.alias, serverId="SECRET-SERVER-3")["pingKeyId"],
        server_policy_id=POLICY_ID,
        delivery_id=delivery["items"][0]["deliveryId"],
        delivery_cursor=delivery["next"],
        policies_cursor=servers["next"],
        secrets=("SECRET", "secret@b.example", URL, account.alias),
    )


def routes(client: Client) -> list[tuple[str, str]]:
    """Return each method and path of the served OpenAPI document."""
    paths = client.get("/openapi.json").json["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


BODIES: dict[str, Any] = {
    "configuration": {"targetUris": []},
    "targetUris": {"targetUri": "http://127.0.0.1:9/from-a"},
    "targets": {"targetUri": "http://127.0.0.1:9/from-a", "events": ["Backup.Success"]},
    "{target_id}": {"enabled": False},
    "secret": {"overlapHours": 0},
    "replays": {"since": "2018-01-01T00:00:00Z"},
    "pingKeys": NIGHTLY,
    "{ping_key_id}": {"backupIntervalHours": 6},
    "{server_policy_id}": {"watched": False},
    "reportRecipients": {"recipients": [{"address": "a@a.example"}]},
}


QUERIES: dict[tuple[str, str], dict[str, str]] = {
    ("DELETE", "targetUris"): {"targetUri": URL},
    ("GET", "preview"): {"format": "slack"},
}


def call(client: Client, method: str, path: str, account: str, other: Other) -> Any:
    """Send the request for `account` with the other account's ids. The other account itself could make this request."""
    filled = (
        path.replace("{account}", account)
        .replace("{event}", FAILURE)
        .replace("{target_id}", other.target_id)
        .replace("{delivery_id}", other.delivery_id)
        .replace("{ping_key_id}", other.ping_key_id)
        .replace("{server_policy_id}", other.server_policy_id)
    )
    query = QUERIES.get((method, path.rpartition("/")[2]), {})
    body = BODIES.get(path.rpartition("/")[2]) if method in ("PUT", "POST", "PATCH") else None
    return client.request(method, filled, body, **query)


def test_no_route_serves_another_account(account: Account, client_of: Callable[..., Client], other: Other) -> None:
    client = client_of(account.alias)
    before = other.everything()
    found = routes(client)
    assert len(found) >= 31

    for method, path in found:
        assert "{account}" in path, "a route that is not about one account"
        answer = call(client, method, path, other.account.alias, other)
        assert (method, path, answer.status) == (method, path, 403)
        assert not any(secret in answer.text for secret in other.secrets)

    assert other.everything() == before


def test_no_route_serves_a_client_without_a_token(client_of: Callable[..., Client], other: Other) -> None:
    client = client_of(None)
    before = other.everything()

    for method, path in routes(client):
        answer = call(client, method, path, other.account.alias, other)
        assert (method, path, answer.status) == (method, path, 401)

    assert other.everything() == before


def test_ids_of_another_account_lead_nowhere_under_the_own_one(
    account: Account, client_of: Callable[..., Client], other: Other
) -> None:
    client = client_of(account.alias)
    before = other.everything()

    for method, path in routes(client):
        answer = call(client, method, path, account.alias, other)
        assert answer.status in (200, 201, 202, 204, 404), (method, path, answer.text)
        of_an_item = any(name in path for name in ("{delivery_id}", "{target_id}", "{ping_key_id}"))
        if of_an_item or path.endswith("{server_policy_id}"):
            assert answer.status == 404
        assert not any(secret in answer.text for secret in other.secrets), (method, path)

    assert other.everything() == before


def test_cursors_of_another_account_show_nothing_of_it(
    account: Account, client_of: Callable[..., Client], other: Other
) -> None:
    client = client_of(account.alias)

    for path, cursor in (("deliveries", other.delivery_cursor), ("serverPolicies", other.policies_cursor)):
        assert cursor
        answer = client.get(of_account(account.alias, path), cursor=cursor)
        assert (answer.status, answer.json["items"]) == (200, [])
        assert not any(secret in answer.text for secret in other.secrets)


def test_an_accounts_own_clients_see_and_change_all_of_it(client_of: Callable[..., Client], other: Other) -> None:
    """The same requests succeed for those who may make them: what the tests above refuse exists."""
    client = client_of(other.account.alias)
    listed = [client.get(of_account(other.account.alias, *steps)).text for steps in ((), ("deliveries",))]
    assert all(URL in text for text in listed)

    found = sorted(routes(client), key=lambda route: ("GET", "POST", "PATCH", "PUT", "DELETE").index(route[0]))
    for method, path in found:
        if method == "DELETE" and "target" in path:
            # The request before has removed it.
            target = Target(other.account.alias, [FAILURE], URL, other.target_id)
            other.account.targets.change(target.account, lambda _, target=target: [target])
        answer = call(client, method, path, other.account.alias, other)
        assert answer.status in (200, 201, 202, 204), (method, path, answer.text)


def test_an_operator_sees_all_accounts_that_there_are(
    account: Account, client_of: Callable[..., Client], other: Other
) -> None:
    client = client_of("*")

    assert URL in client.get(of_account(other.account.alias)).text
    assert client.get(of_account(account.alias)).status == 404
    assert client.put(of_account(account.alias, FAILURE, "configuration"), {"targetUris": []}).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v2/webhooks/{other}%2F..%2F{own}",
        "/v2/webhooks/{own}%2F..%2F{other}",
        "/v2/webhooks/{own}/../{other}",
        "/v2/webhooks//{other}",
        "/v2/webhooks/{other}/",
        "/v2/webhooks/{other}%00",
        "/v2/webhooks/{other}%20",
        "//v2/webhooks/{other}",
        "/v2/webhooks/{other_lower}",
        "/%76%32/webhooks/{other}",
    ],
)
def test_no_spelling_of_a_path_leads_to_another_account(
    account: Account, client_of: Callable[..., Client], other: Other, path: str
) -> None:
    names = {"own": account.alias, "other": other.account.alias, "other_lower": other.account.alias.lower()}

    answer = client_of(account.alias).get(path.format(**names))

    assert answer.status in (403, 404)
    assert not any(secret in answer.text for secret in ("SECRET", URL))


@pytest.mark.parametrize("claims", [{}, {"account_alias": ""}, {"account_alias": "[A B]"}, {"sub": "x"}])
def test_a_token_that_names_no_account_covers_none(
    client_of: Callable[..., Client], other: Other, claims: dict[str, str]
) -> None:
    client = client_of(claims.get("account_alias", ""))

    assert client.get(of_account(other.account.alias)).status == 403


def test_a_client_cannot_set_its_own_claims(client_of: Callable[..., Client], other: Other) -> None:
    """Claims come from the gateway. Headers, body and query cannot set them."""
    client = client_of(None)
    forged = json.dumps({"jwt": {"claims": {"account_alias": other.account.alias}}})

    answer = client.request(
        "GET",
        of_account(other.account.alias),
        None,
        {"authorization": "Bearer x", "x-amzn-authorizer": forged, "account_alias": other.account.alias},
        authorizer=forged,
    )

    assert answer.status == 401
