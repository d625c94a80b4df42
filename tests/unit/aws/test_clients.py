"""The functions' AWS clients."""

from __future__ import annotations

from typing import NoReturn

import pytest
from backup_webhooks.aws import clients
from botocore.errorfactory import ClientExceptionsFactory


def test_threads_that_share_the_client_catch_each_others_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore makes the exception classes at their first use, so two threads could make two sets of them."""

    def too_late(*_: object) -> NoReturn:
        raise AssertionError("made at the first use")

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    clients.dynamodb.cache_clear()
    client = clients.dynamodb()
    monkeypatch.setattr(ClientExceptionsFactory, "create_client_exceptions", too_late)

    assert issubclass(client.exceptions.ConditionalCheckFailedException, Exception)
    clients.dynamodb.cache_clear()
