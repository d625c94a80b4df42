"""All patches of moto."""

from __future__ import annotations

import functools
import time

from moto import backends
from moto.core import responses
from moto.sqs import models
from moto.sqs.models import Message, SQSBackend

from local.moto_dynamodb import make_atomic, make_forgetful, make_transactions_quick, make_updates_quick
from local.moto_items import make_answers_quick, make_items_quick
from local.moto_queries import make_queries_quick


def patch_moto() -> None:
    """Make moto's DynamoDB and SQS in this process quick, with the same answers, and conditional writes atomic."""
    make_atomic()
    make_forgetful()
    make_transactions_quick()
    make_updates_quick()
    make_items_quick()
    make_queries_quick()
    make_answers_quick()
    make_dispatch_quick()
    make_queues_quick()


@functools.cache
def make_dispatch_quick() -> None:
    """Make moto list its services and their methods once. It reads its own folder at each call."""
    names = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: names
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)  # type: ignore[attr-defined]


@functools.cache
def make_queues_quick() -> None:
    """Make moto read the clock without a date, and one attribute of the queue for a message that is received.

    moto computes all attributes at each send, and several times for each message received: the time grows with the
    square of a queue's length.
    """

    def is_retained(backend: SQSBackend, queue_name: str, message: Message) -> bool:
        retention_seconds = int(backend.get_queue(queue_name).message_retention_period)  # type: ignore[attr-defined]
        return bool(message.sent_timestamp / 1000 + retention_seconds > time.time())  # type: ignore[operator]

    SQSBackend.is_message_valid_based_on_retention_period = is_retained  # type: ignore[method-assign, assignment]
    models.unix_time_millis = lambda dt=None: time.time() * 1000  # type: ignore[attr-defined]
    models.camelcase_to_underscores = functools.cache(models.camelcase_to_underscores)  # type: ignore[attr-defined]


def empty_queues() -> None:
    """Remove all messages from moto's queues, also those in flight. A queue may be purged only once in 60 seconds."""
    for account in models.sqs_backends.values():
        for queue in (queue for backend in account.values() for queue in backend.queues.values()):
            queue._messages.clear()
            queue._pending_messages.clear()
