"""The API conforms to the OpenAPI document that it serves, for any request (Schemathesis, with a fixed seed)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import schemathesis
from backup_webhooks.aws.paging import to_cursor
from backup_webhooks.deliveries.deliveries_store import Claim, DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.sources.pings.keys_store import PingKeysStore
from backup_webhooks.sources.pings.rules import PingKey, hash_of
from backup_webhooks.targets.target import Target
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.http_api import HttpApi
from local.sign_in import SignIn
from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.policies import at, changed

EXAMPLES = 6
URL = "http://127.0.0.1:9/"
LEAST_OPERATIONS = 31
TARGET = Target("FUZZ", [EventType.FAILURE], URL)
PING_KEY = PingKey(
    key_hash=hash_of("fuzz"),
    account="FUZZ",
    server_id="fuzz",
    server_policy_id="fuzz",
    account_policy_id="fuzz",
    account_policy_name="fuzz",
    storage_region="fuzz",
    backup_schedule=None,
    backup_interval_hours=24,
    timezone="UTC",
    created_at=at("12-20 00:00"),
    changed_at=at("12-20 00:00"),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def ids(stack: Stack) -> dict[str, str]:
    """Make an account with one item of each kind. It is made before each operation, as some operations remove items."""
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    account, now = Account("FUZZ", stack), datetime.now(UTC)
    account.targets.change(account.alias, lambda _: [TARGET])
    store = DeliveriesStore(dynamodb, outputs["DeliveriesTableName"], timedelta(days=30))
    delivery = Delivery(
        account=account.alias,
        event_type=EventType.FAILURE,
        target_id=TARGET.target_id,
        occurred_at=Timestamp.of(now),
        subject_id="rp-1",
        body="{}",
    )
    claim = store.claim(AttemptDue.first(delivery, now), TARGET, now=now, until=now + timedelta(seconds=30))
    assert isinstance(claim, Claim)
    store.record(claim, AttemptResult(503, "answered 503", b"", 3), DeliveryState.FAILED, None)
    policies = ServerPoliciesStore(dynamodb, outputs["ServerPoliciesTableName"])
    policies.save(
        policies.load("FUZZ", "fuzz").after(changed("12-20 00:00", server_policy_id="fuzz", clc_account_alias="FUZZ"))
    )
    return {
        "account": account.alias,
        "event": str(EventType.FAILURE),
        "target_id": TARGET.target_id,
        "delivery_id": to_cursor(delivery.sort_key),
        "server_policy_id": "fuzz",
        "ping_key_id": PING_KEY.ping_key_id,
    }


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_each_operation_answers_as_its_document_says(
    served: HttpApi,
    sign_in: SignIn,
    stack: Stack,
    ids: dict[str, str],
    subtests: pytest.Subtests,
    emptied: None,
    mode: GenerationMode,
) -> None:
    document = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    headers = {"authorization": f"Bearer {sign_in.access_token(ids['account'])}"}
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) >= LEAST_OPERATIONS

    def call(case: schemathesis.Case) -> int:
        # A valid request uses ids that exist.
        known = ids if mode is GenerationMode.POSITIVE else {"account": ids["account"]}
        case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
        # The call before may have removed this.
        if "pingKeys" in case.path:
            keep(PING_KEY, stack)
        elif "webhooks" in case.path:
            Account(ids["account"], stack).targets.change(ids["account"], lambda _: [TARGET])
        if mode is GenerationMode.POSITIVE and "pingKeys" in case.path and isinstance(case.body, dict):
            # Few texts are a schedule, and few schedules ever fire.
            case.body = {name: one for name, one in case.body.items() if name != "backupSchedule"} | {
                "backupIntervalHours": 24
            }
        if mode is GenerationMode.POSITIVE and case.path.endswith("/targetUris"):
            case.query = {"targetUri": URL} if case.method == "DELETE" else {}
            case.body = {"targetUri": URL, "headers": {}} if case.method == "POST" else case.body
        if mode is GenerationMode.POSITIVE and case.path.endswith(("/targets", "/targets/{target_id}")) and case.body:
            # Few texts are a URL.
            case.body = {"targetUri": f"{URL}new", "events": ["Backup.Success"]}
        return int(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

    for operation in operations:
        with subtests.test(operation.label):
            statuses = exercised(operation.as_strategy(generation_mode=mode), call)
            if mode is GenerationMode.POSITIVE:
                assert statuses & {200, 201, 202, 204}, "no request was valid"


def keep(key: PingKey, stack: Stack) -> None:
    """Store this ping key as its account's only one, whatever was revoked before."""
    store = PingKeysStore(stack.client("dynamodb"), stack.outputs["PingKeysTableName"])
    for one in store.of_account(key.account):
        store.remove(one)
    store.add(key)


def exercised(cases: SearchStrategy[schemathesis.Case], call: Callable[[schemathesis.Case], int]) -> set[int]:
    """Return the statuses of the answers to these cases."""
    statuses: set[int] = set()

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answer(case: schemathesis.Case) -> None:
        statuses.add(call(case))

    answer()
    return statuses
