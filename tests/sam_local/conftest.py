"""The world of `sam local`: as `make run LISTEN=172.17.0.1` at its addresses, with the functions in containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.aws_backup import AwsBackup
from local.demo import AWS_BACKUP_PORT, MAIL_PORT, RECEIVER_PORT, SIGN_IN_PORT
from local.mailbox import Mailbox
from local.receiver import Receiver
from local.sign_in import SignIn
from local.stack import AWS_PORT, PAGE, Stack, deploy, embedded, require_free
from local.template import Template
from tests.support.sam_world import World

# Containers find this machine at Docker's bridge, which events/env.json names.
BRIDGE = "172.17.0.1"

pytest.register_assert_rewrite("tests.sam_local.expectations")


@pytest.fixture(scope="session")
def ports() -> None:
    for port in (RECEIVER_PORT, SIGN_IN_PORT, MAIL_PORT, AWS_BACKUP_PORT):
        require_free(BRIDGE, port)


@pytest.fixture(scope="session")
def sign_in(ports: None) -> Iterator[SignIn]:
    with SignIn(BRIDGE, SIGN_IN_PORT) as provider:
        yield provider


@pytest.fixture(scope="session")
def every_mail(ports: None) -> Iterator[Mailbox]:
    with Mailbox(host=BRIDGE, port=MAIL_PORT) as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def every_job(ports: None) -> Iterator[AwsBackup]:
    with AwsBackup(host=BRIDGE, port=AWS_BACKUP_PORT) as backup:
        yield backup


@pytest.fixture(scope="session")
def stack(template: Template, sign_in: SignIn, every_mail: Mailbox, every_job: AwsBackup) -> Iterator[Stack]:
    with embedded(template, BRIDGE, AWS_PORT, sign_in.url, every_mail.url, backup=every_job.url) as stack:
        yield stack


@pytest.fixture(scope="session")
def every_post(ports: None) -> Iterator[Receiver]:
    with Receiver(host=BRIDGE, port=RECEIVER_PORT) as receiver:
        yield receiver


@pytest.fixture
def world(
    template: Template, stack: Stack, sign_in: SignIn, every_mail: Mailbox, every_job: AwsBackup, every_post: Receiver
) -> World:
    """An empty world."""
    deploy(stack, template, sign_in.url, PAGE)
    every_post.posts.clear()
    every_mail.mails.clear()
    every_job.jobs, every_job.plans, every_job.selections = [], {}, {}
    return World(stack, every_post, every_mail, every_job)
