"""Powertools' batch processor, with threads: a record that waits for a slow endpoint holds up no other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType


class ThreadedBatchProcessor(BatchProcessor):
    """Handles the records of an SQS batch at the same time and reports those that failed.

    A batch of which every record fails is reported in the same way; it is no error of the function.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._threads = threads

    def process(self) -> list[tuple[Any, ...]]:
        """Call the handler for each record; the results are in the order of the records."""
        return list(self._threads.map(self._process_record, self.records))
