"""What the functions of sources are told by their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from backup_webhooks.aws.settings import required


class AwsBackupSettings(Struct, frozen=True):
    """What aws_backup needs."""

    sources_table: str
    backup_events_queue_url: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read from SOURCES_TABLE and BACKUP_EVENTS_QUEUE_URL."""
        return cls(
            sources_table=required("SOURCES_TABLE", environment),
            backup_events_queue_url=required("BACKUP_EVENTS_QUEUE_URL", environment),
        )
