"""The stack that the integration and artefact tests share, as moto has one world per process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.aws_backup import AwsBackup
from local.http_api import HttpApi
from local.mailbox import Mailbox
from local.moto_dynamodb import empty_tables
from local.moto_patches import empty_queues
from local.page import page_running
from local.sign_in import SignIn
from local.stack import Stack, embedded
from local.template import PROJECT, Template, translate
from tests.support.rights import NAME, UnusedRights

# The folders with the longest files first, so that all processes end at about the same time.
_ORDER = ("browser", "faults", "integration", "simulation", "artefact", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(_ORDER)}
    items.sort(key=lambda item: places.get(item.path.relative_to(PROJECT / "tests").parts[0], len(places)))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(UnusedRights(), NAME)


@pytest.fixture(scope="session")
def template() -> Template:
    return translate()


@pytest.fixture(scope="session")
def sign_in() -> Iterator[SignIn]:
    with SignIn() as provider:
        yield provider


@pytest.fixture(scope="session")
def every_mail() -> Iterator[Mailbox]:
    """The session's mailbox. A test looks only for e-mail to its own addresses."""
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def every_job() -> Iterator[AwsBackup]:
    """The session's AWS Backup. A test that adds something removes it again."""
    with AwsBackup() as backup:
        yield backup


@pytest.fixture(scope="session")
def stack(template: Template, sign_in: SignIn, every_mail: Mailbox, every_job: AwsBackup) -> Iterator[Stack]:
    with embedded(template, issuer=sign_in.url, ses=every_mail.url, backup=every_job.url) as stack:
        yield stack


@pytest.fixture(autouse=True, scope="module")
def nothing_of_other_modules() -> Iterator[None]:
    yield
    empty_tables()
    empty_queues()


@pytest.fixture(scope="session")
def served(template: Template, stack: Stack, sign_in: SignIn) -> Iterator[HttpApi]:
    """The page and its API behind the gateway."""
    with page_running(template, stack, sign_in.url) as api:
        yield api
