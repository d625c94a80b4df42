"""A function's batch of SQS records, on Powertools' batch processor: in threads, each record failing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from backup_webhooks.deliverer import Postponed
from backup_webhooks.messages import InvalidMessage
from backup_webhooks.moments import utc_now

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Batch[R]:
    """What came of a batch: the results of the records that were handled, how many can't ever be, and the answer."""

    results: Sequence[R]
    rejected: int
    response: PartialItemFailureResponse


class _ThreadedBatchProcessor(BatchProcessor):
    """A record that waits for a slow endpoint holds up no other.

    A batch of which every record fails is reported as any other; it is no error of the function.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._threads = threads

    def process(self) -> list[tuple[Any, ...]]:
        """Call the handler for each record; the results are in the order of the records."""
        return list(self._threads.map(self._process_record, self.records))


def handle_batch[R](
    event: dict[str, Any], context: LambdaContext, threads: ThreadPoolExecutor, handle: Callable[[str, datetime], R]
) -> Batch[R]:
    """Call `handle` with each record's body and the function's deadline, at the same time.

    What it raises, `InvalidMessage`, `Postponed`, botocore's errors or any other, is logged, and its record reported
    as failed: it comes again, or ends in the dead letters.
    """
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    processor = _ThreadedBatchProcessor(threads)
    with processor(event["Records"], lambda record: _handle(record, deadline, handle)):
        results = processor.process()
    return Batch(
        results=[result for status, result, _ in results if status == "success"],
        rejected=sum(issubclass(kind, InvalidMessage) for kind, _, _ in processor.exceptions if kind),
        response=processor.response(),
    )


def _handle[R](record: SQSRecord, deadline: datetime, handle: Callable[[str, datetime], R]) -> R:
    try:
        return handle(record.body, deadline)
    except InvalidMessage as error:
        logger.warning(
            "message rejected",
            extra={"message_id": record.message_id, "field": error.field, "reason": error.reason},
        )
        raise
    except Postponed as error:
        logger.info("message postponed", extra={"message_id": record.message_id, "reason": str(error)})
        raise
    except (BotoCoreError, ClientError) as error:
        logger.error("message failed", extra={"message_id": record.message_id, "reason": str(error)})
        raise
    except Exception:
        logger.exception("message failed", extra={"message_id": record.message_id})
        raise
