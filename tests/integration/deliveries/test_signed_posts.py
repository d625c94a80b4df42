"""Signatures as a receiver checks them, with the secrets that the owner was shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.signing import LONGEST_OVERLAP, OVERLAP, SigningSecret
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import DeliveryMode, Target
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from local.receiver import Post, Receiver
from local.stack import Stack
from local.targets import save_target
from tests.integration.conftest import Account, Invoke
from tests.support.fault_proxy import Answer, Call, FaultProxy, internal_server_error
from tests.support.messages import finished
from tests.world.endpoints import Times
from tests.world.world import World

FAILURE = EventType.FAILURE


@pytest.fixture
def proxied(stack: Stack, dynamodb_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> TargetsStore:
    """The store, with the proxy in front of its table."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        return TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


@pytest.fixture
def proxied_targets(proxied: TargetsStore) -> TargetsStore:
    return TargetsStore(proxied.client, proxied.table)


class TestSignatures:
    @pytest.fixture
    def received(self) -> Iterator[Receiver]:
        with Receiver() as receiver:
            yield receiver

    def verifies(self, post: Post, secret: str) -> bool:
        try:
            Webhook(secret).verify(post.body.decode(), dict(post.headers))
        except WebhookVerificationError:
            return False
        return True

    def test_a_post_is_verified_with_the_secret_that_was_shown_once(
        self, account: Account, notifier: Invoke, received: Receiver
    ) -> None:
        target = Target(account.alias, [FAILURE], received.url)
        secret = save_target(account.targets, target)
        assert secret

        notifier(finished(account.alias))

        (post,) = received.posts
        assert self.verifies(post, secret.value)
        assert save_target(account.targets, target) is None, "shown twice"

    @pytest.mark.parametrize(
        ("overlap", "passed", "old_verifies"),
        [
            (OVERLAP, timedelta(0), True),
            (OVERLAP, OVERLAP - timedelta(seconds=1), True),
            (OVERLAP, OVERLAP, False),
            (timedelta(0), timedelta(0), False),
            (LONGEST_OVERLAP, LONGEST_OVERLAP - timedelta(seconds=1), True),
            (LONGEST_OVERLAP, LONGEST_OVERLAP, False),
        ],
    )
    def test_during_the_overlap_old_and_new_verify_and_after_it_only_the_new(
        self,
        account: Account,
        handler_at: Callable[..., Invoke],
        received: Receiver,
        overlap: timedelta,
        passed: timedelta,
        old_verifies: bool,
    ) -> None:
        target = Target(account.alias, [FAILURE], received.url)
        old = save_target(account.targets, target)
        # The rotation is just before the attempt, so that the end of the overlap lies on one side of it.
        new = account.targets.rotate_secret(
            target, datetime.now(UTC) - passed + timedelta(seconds=0.5 if old_verifies else -0.5), overlap
        )

        handler_at("notifier")(finished(account.alias))

        (post,) = received.posts
        assert old
        assert self.verifies(post, new.value)
        assert self.verifies(post, old.value) is old_verifies
        assert not self.verifies(post, "whsec_" + "A" * 43 + "=")

    def test_a_retry_is_signed_for_its_own_time(self, account: Account, world: World) -> None:
        endpoint = Times(503, 200)
        endpoint.world = world
        with Receiver(endpoint) as receiver:
            account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
            world.send(finished(account.alias))
            world.settle()

        first, second = (post for _, post in endpoint.posts)
        assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
        assert first.headers["webhook-signature"] != second.headers["webhook-signature"]

    def test_rotations_in_a_row_keep_each_secret_that_was_shown(self, account: Account) -> None:
        target = account.set_target(FAILURE, "http://127.0.0.1:9/")
        now = datetime.now(UTC)
        shown = [account.targets.rotate_secret(target, now, OVERLAP).value for _ in range(3)]

        assert [secret.value for secret in account.target().secrets][:3] == shown[::-1]

    def test_of_two_rotations_at_once_one_is_refused_and_shows_no_secret(
        self, account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
    ) -> None:
        target = account.set_target(FAILURE, "http://127.0.0.1:9/")
        now = datetime.now(UTC)
        others: list[SigningSecret] = []

        def rotate_in_between(call: Call) -> Answer:
            answer = call.forward()
            if call.operation == "GetItem":
                others.append(account.targets.rotate_secret(target, now, OVERLAP))
            return answer

        dynamodb_proxy.behaviour = rotate_in_between
        with pytest.raises(Conflict):
            proxied.rotate_secret(target, now, OVERLAP)

        assert account.target().secrets[0] == others[0]
        assert len(account.target().secrets) == 2

    @pytest.mark.parametrize("write", ["save", "rotate_secret"])
    def test_a_secret_whose_answer_was_lost_is_the_one_that_is_shown(
        self,
        account: Account,
        dynamodb_proxy: FaultProxy,
        proxied: TargetsStore,
        proxied_targets: TargetsStore,
        write: str,
    ) -> None:
        """When the answer is lost, botocore repeats the write."""
        target = Target(account.alias, [FAILURE], "http://127.0.0.1:9/")
        if write == "rotate_secret":
            save_target(account.targets, target)
        lost: list[Call] = []

        def lose_first(call: Call) -> Answer:
            answer = call.forward()
            if call.operation in ("UpdateItem", "TransactWriteItems") and not lost:
                lost.append(call)
                return internal_server_error()
            return answer

        dynamodb_proxy.behaviour = lose_first
        if write == "save":
            shown = save_target(proxied_targets, target)
        else:
            shown = proxied.rotate_secret(target, datetime.now(UTC), OVERLAP)

        assert lost
        assert account.target().secrets[0] == shown


def test_no_repr_of_a_stored_target_shows_a_secret(account: Account, stack: Stack) -> None:
    secret = save_target(
        account.targets,
        Target(account.alias, [FAILURE], "https://hooks.example/s3cret-url", headers={"x-key": "s3cret-header"}),
    )
    assert secret

    shown = repr(account.targets.load(account.alias).targets) + repr(secret)

    assert secret.value not in shown
    assert "s3cret" not in shown
    item = stack.client("dynamodb").get_item(
        TableName=stack.outputs["WebhooksTableName"],
        Key={"account": {"S": account.alias}, "target": {"S": f"target#{account.target().target_id}"}},
    )["Item"]
    assert secret.value in str(from_item(item)), "the test looks for what is not there"
