"""The handling of a batch of SQS records, in threads. A record that fails does not fail the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage, TryAgain

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(child=True)


class Batch[R](Struct, frozen=True):
    """The results of the records that were handled, and the function's response to Lambda.

    `rejected`: the number of records that can never be handled. `failed`: those that failed by an error of the service
    or of AWS.
    """

    results: Sequence[R]
    rejected: int
    failed: int
    response: PartialItemFailureResponse


def handle_batch[R](
    event: dict[str, Any],
    context: LambdaContext,
    threads: ThreadPoolExecutor,
    handle: Callable[[dict[str, Any], datetime], R],
) -> Batch[R]:
    """Return the results of `handle`, which is called with each record and the function's end, all at once.

    An exception of `handle` is logged, and its record is reported as failed. SQS delivers it again, or moves it to the
    dead-letter queue.
    """
    deadline = datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
    # In threads, so that a record that waits for a slow endpoint delays no other.
    futures = [threads.submit(_handle, record, deadline, handle) for record in event["Records"]]
    failures = [future.exception() for future in futures]
    return Batch(
        results=[future.result() for future, failure in zip(futures, failures, strict=True) if failure is None],
        rejected=sum(isinstance(failure, InvalidMessage) for failure in failures),
        failed=sum(failure is not None and not isinstance(failure, InvalidMessage | TryAgain) for failure in failures),
        response={
            "batchItemFailures": [
                {"itemIdentifier": record["messageId"]}
                for record, failure in zip(event["Records"], failures, strict=True)
                if failure
            ]
        },
    )


def sent_at(record: dict[str, Any]) -> datetime:
    """Return when the record's message was sent, by the queue's clock, in UTC."""
    return datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)


def _handle[R](record: dict[str, Any], deadline: datetime, handle: Callable[[dict[str, Any], datetime], R]) -> R:
    try:
        return handle(record, deadline)
    except InvalidMessage as error:
        logger.warning(
            "message rejected",
            extra={"message_id": record["messageId"], "field": error.field, "reason": error.reason},
        )
        raise
    except TryAgain as error:
        logger.info("message postponed", extra={"message_id": record["messageId"], "reason": str(error)})
        raise
    except (BotoCoreError, ClientError) as error:
        logger.error("message failed", extra={"message_id": record["messageId"], "reason": str(error)})
        raise
    except Exception:
        logger.exception("message failed", extra={"message_id": record["messageId"]})
        raise
