"""The API keeps to the OpenAPI document that it serves, whatever is sent to it (Schemathesis, with a fixed seed)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.http_api import HttpApi
from local.page import page_running
from local.sign_in import SignIn
from local.stack import Stack
from local.template import Template

EXAMPLES = 12
LEAST_OPERATIONS = 18
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def sign_in() -> Iterator[SignIn]:
    with SignIn() as provider:
        yield provider


@pytest.fixture(scope="module")
def api(template: Template, stack: Stack, sign_in: SignIn) -> Iterator[HttpApi]:
    with page_running(template, stack, sign_in.url, environment={"JWT_ISSUER": sign_in.url}) as api:
        yield api


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_each_operation_answers_as_its_document_says(
    api: HttpApi, sign_in: SignIn, subtests: pytest.Subtests, mode: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{api.url}/openapi.json")
    token = sign_in.access_token("FUZZ")
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) >= LEAST_OPERATIONS

    for operation in operations:
        with subtests.test(operation.label):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def holds(case: schemathesis.Case) -> None:
                case.path_parameters["account"] = "FUZZ"
                case.call_and_validate(headers={"authorization": f"Bearer {token}"}, checks=CHECKS)

            holds()
